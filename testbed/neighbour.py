"""A noisy neighbour: UDP to another node, so much that whatever else leaves by that device waits behind it.

Edge: `python -m testbed.neighbour ADDRESS`, until it is killed.
"""

import itertools
import socket
import sys

LINK_RATE = "40mbit"
PACKET_BYTES = 1400
BUFFER_BYTES = 16 << 10
"""Linux doubles it, and a packet counts as 2304 bytes of it: some 14 packets wait in the queue at any time, whatever
else the machine does, since the kernel lets the next in once one has left. At LINK_RATE they take 4 ms."""

PACKETS_IN_QUEUE = 14
READY = "the queue is filled"
START_TIMEOUT_S = 30.0
DISCARD_PORT = 9


def main() -> None:
    """Send for ever."""
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    for number in itertools.count():
        sender.sendto(bytes(PACKET_BYTES), (sys.argv[1], DISCARD_PORT))
        if number == PACKETS_IN_QUEUE:
            sys.stdout.write(f"{READY}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
