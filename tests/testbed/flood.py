"""Sends forged traced requests as fast as asked, by a packet socket's mapped ring: an attack on the node's probe.

Run in the pod's namespace: `python -m tests.testbed.flood DEVICE MAC SOURCE DESTINATION RATE SECONDS`; prints JSON.
Each packet is a request with a context of its own, on a connection that does not exist. Stops at a signal.
"""

import json
import mmap
import os
import socket
import struct
import sys
import time

from hopspan.stop import StopRequest
from tests.kernel.packets import request, traced_request

_SOL_PACKET, _PACKET_VERSION, _PACKET_TX_RING = 263, 10, 13
_TPACKET_V2 = 1
_SEND_REQUEST = 1
_DATA_OFFSET = 32
"""TPACKET2_HDRLEN without the address: where the kernel looks for the packet in a frame to send."""

READY_LINE = "flooding"

FRAME_BYTES = 512
FRAMES = 2048
TURN_S = 0.01
_IP = 14
_TCP_NUMBERS = _IP + 20 + 4
"""Offset of sequence and acknowledgement number in a packet without IP options."""


def open_ring(device: str) -> tuple[socket.socket, mmap.mmap]:
    """Return a socket that sends on the device, and its ring."""
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
    sender.setsockopt(_SOL_PACKET, _PACKET_VERSION, struct.pack("=i", _TPACKET_V2))
    block = mmap.PAGESIZE
    blocks = FRAMES * FRAME_BYTES // block
    sender.setsockopt(_SOL_PACKET, _PACKET_TX_RING, struct.pack("=4I", block, blocks, FRAME_BYTES, FRAMES))
    sender.bind((device, 0x0800))
    return sender, mmap.mmap(sender.fileno(), blocks * block)


def fill(ring: mmap.mmap, mac: str, source: str, destination: str) -> None:
    """Write a packet into every frame; those of one turn of the ring differ in context and client port."""
    for number in range(FRAMES):
        context = f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01"
        packet = request(traced_request(context), client=source, server=destination, client_port=20_000 + number)
        packet = bytes.fromhex(mac.replace(":", "")) + packet[6:_IP] + sum_up(packet[_IP:])
        start = number * FRAME_BYTES
        ring[start : start + 8] = struct.pack("=II", 0, len(packet))
        ring[start + _DATA_OFFSET : start + _DATA_OFFSET + len(packet)] = packet


def sum_up(packet: bytes) -> bytes:
    """Return an IPv4 packet without options with its header's checksum (RFC 1071), or no router forwards it."""
    total = sum(struct.unpack("!10H", packet[:20]))
    total = (total & 0xFFFF) + (total >> 16)
    return packet[:10] + struct.pack("!H", ~total & 0xFFFF) + packet[12:]


def flood(sender: socket.socket, ring: mmap.mmap, rate: int, seconds: float) -> dict[str, float]:
    """Send `rate` packets a second for so long, or fewer where the machine is slower; return what was sent."""
    stopping = StopRequest()
    stopping.listen()
    started = now = time.monotonic()
    sent = offered = 0
    while now - started < seconds and not stopping.wait(TURN_S):
        now = time.monotonic()
        for _ in range(min(FRAMES, int((now - started) * rate) - offered)):
            start = offered % FRAMES * FRAME_BYTES
            if struct.unpack_from("=I", ring, start)[0] == 0:
                numbers = start + _DATA_OFFSET + _TCP_NUMBERS
                struct.pack_into("!II", ring, numbers, offered * 1000 & 0xFFFFFFFF, offered * 7 & 0xFFFFFFFF)
                struct.pack_into("=I", ring, start, _SEND_REQUEST)
                sent += 1
            offered += 1
        sender.send(b"", socket.MSG_DONTWAIT)
    return {"sent": sent, "seconds": now - started, "rate": sent / (now - started)}


def main() -> int:
    """Flood as the arguments say, and print what was sent."""
    device, mac, source, destination, rate, seconds = sys.argv[1:]
    sender, ring = open_ring(device)
    with sender:
        fill(ring, mac, source, destination)
        sys.stdout.write(f"{READY_LINE}\n")
        sys.stdout.flush()
        sys.stdout.write(f"{json.dumps(flood(sender, ring, int(rate), float(seconds)))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
