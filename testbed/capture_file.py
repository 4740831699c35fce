"""Reads what tcpdump wrote: bytes of a capture file -> frames, and when the first packet of each HTTP message passed.

Pure: bytes in, values out. The format is libpcap's own with nanoseconds (pcap-savefile(5)), Ethernet frames.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

PLAIN_TCP = 34
"""Offset of the TCP header in a frame: behind Ethernet and IPv4."""

IN_TUNNEL_TCP = PLAIN_TCP + 50
"""The same inside VXLAN: behind an outer Ethernet (14), IPv4 (20), UDP (8) and VXLAN header (8)."""

_MAGIC_NANOSECONDS = 0xA1B23C4D
_FILE_HEADER = struct.Struct("=I20x")
_PACKET_HEADER = struct.Struct("=IIII")
_TCP = struct.Struct("!HHI4xB")
_PROTOCOL = 9 + 14
_UDP = 17


class MessageKey(NamedTuple):
    """What tells the sendings of messages on one connection apart, as far as this load needs it."""

    client_port: int
    direction: int
    seq: int


class CaptureError(ValueError):
    """The bytes are not such a file."""


def read_messages(data: bytes, server_port: int) -> Iterator[tuple[MessageKey, int]]:
    """Yield the messages from and to `server_port`, with their epoch time in ns. Raises CaptureError."""
    for frame, epoch_ns in read_frames(data):
        if key := _read_frame(frame, server_port):
            yield key, epoch_ns


def read_frames(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield all frames with their epoch time in ns. Raises CaptureError."""
    if len(data) < _FILE_HEADER.size or _FILE_HEADER.unpack_from(data)[0] != _MAGIC_NANOSECONDS:
        raise CaptureError("no capture file with nanoseconds in this machine's byte order")
    position = _FILE_HEADER.size
    while position + _PACKET_HEADER.size <= len(data):
        seconds, nanoseconds, length, _ = _PACKET_HEADER.unpack_from(data, position)
        position += _PACKET_HEADER.size
        if position + length > len(data):
            return  # tcpdump was stopped amid a packet
        yield data[position : position + length], seconds * 10**9 + nanoseconds
        position += length


def _read_frame(frame: bytes, server_port: int) -> MessageKey | None:
    tcp = IN_TUNNEL_TCP if frame[_PROTOCOL] == _UDP else PLAIN_TCP
    if len(frame) < tcp + _TCP.size:
        return None
    source, destination, seq, offset = _TCP.unpack_from(frame, tcp)
    payload = frame[tcp + (offset >> 4) * 4 :]
    if destination == server_port and payload.startswith(b"GET "):
        return MessageKey(source, 0, seq)
    if source == server_port and payload.startswith(b"HTTP/"):
        return MessageKey(destination, 1, seq)
    return None
