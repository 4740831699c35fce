"""An observer that is not ours: a packet socket on a device, which tells when HTTP messages of a pod passed it."""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from testbed.errors import TestbedError
from testbed.namespace import open_socket
from testbed.topology import Pod

ETH_P_ALL = 3
BUFFER_BYTES = 32 << 20
"""Holds a whole run, so that nothing has to be read meanwhile."""

_SO_RCVBUFFORCE, _SO_TIMESTAMPNS = 33, 35  # asm-generic/socket.h
_SOL_PACKET, _PACKET_STATISTICS = 263, 6  # linux/if_packet.h
_STATISTICS = struct.Struct("=II")
_TIMESPEC = struct.Struct("=qq")
_IP, _TCP = 14, 34
"""Offsets in a frame without VLAN tag and IP options."""


@dataclass(frozen=True, order=True)
class Sighting:
    """The first packet of an HTTP message, as the observer saw it at an epoch time."""

    epoch_ns: int
    direction: str
    client_port: int
    seq: int
    """TCP's number of its first byte: a message that is sent again has the same."""


@contextmanager
def open_observer(namespace: str, device: str) -> Iterator[socket.socket]:
    """Hold a packet socket that keeps every packet of a device, with the kernel's own times."""
    with open_socket(namespace, socket.AF_PACKET, socket.SOCK_RAW, 0) as packets:
        packets.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, BUFFER_BYTES)
        packets.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        packets.bind((device, ETH_P_ALL))
        packets.settimeout(0)
        yield packets


def list_sightings(packets: socket.socket, client: Pod) -> list[Sighting]:
    """Return, in order of time, the messages of the connections that the pod has opened. All that is kept is read.

    Raises TestbedError where the socket lost packets.
    """
    return sorted(sighting for frame in read_frames(packets) if (sighting := _read_message(*frame, client)))


def read_frames(packets: socket.socket) -> list[tuple[bytes, int]]:
    """Return all frames that are kept, each with its epoch time in ns. Raises TestbedError where some were lost."""
    frames = list(_receive_frames(packets))
    raw = packets.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)
    if lost := _STATISTICS.unpack(raw)[1]:
        raise TestbedError(f"the observer lost {lost} packets")
    return frames


def _receive_frames(packets: socket.socket) -> Iterator[tuple[bytes, int]]:
    while True:
        try:
            frame, ancillary, _, _ = packets.recvmsg(1 << 16, 256)
        except BlockingIOError:
            return
        seconds, rest_ns = _TIMESPEC.unpack(ancillary[0][2])
        yield frame, seconds * 10**9 + rest_ns


def _read_message(frame: bytes, epoch_ns: int, client: Pod) -> Sighting | None:
    if frame[12:14] != b"\x08\x00" or frame[_IP + 9] != socket.IPPROTO_TCP:
        return None
    payload = frame[_TCP + (frame[_TCP + 12] >> 4) * 4 :]
    source, destination = frame[_IP + 12 : _IP + 16], frame[_IP + 16 : _IP + 20]
    seq = int.from_bytes(frame[_TCP + 4 : _TCP + 8])
    if payload.startswith(b"GET ") and source == client.address.packed:
        return Sighting(epoch_ns, "request", int.from_bytes(frame[_TCP : _TCP + 2]), seq)
    if payload.startswith(b"HTTP/") and destination == client.address.packed:
        return Sighting(epoch_ns, "response", int.from_bytes(frame[_TCP + 2 : _TCP + 4]), seq)
    return None
