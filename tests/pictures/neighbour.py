"""A noisy neighbour: bursts of UDP to another node, so that whatever else leaves by that NIC waits behind them.

Edge: `python -m tests.pictures.neighbour ADDRESS`, until it is killed.
"""

import socket
import sys
import time

BURST_PACKETS, PACKET_BYTES = 20, 1400
INTERVAL_S = 0.0075
"""A burst takes 5.7 ms at LINK_RATE: of packets that come at any time, three in four find the queue filled."""

LINK_RATE = "40mbit"
DISCARD_PORT = 9


def main() -> None:
    """Send for ever."""
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    while True:
        for _ in range(BURST_PACKETS):
            sender.sendto(bytes(PACKET_BYTES), (sys.argv[1], DISCARD_PORT))
        time.sleep(INTERVAL_S)


if __name__ == "__main__":
    main()
