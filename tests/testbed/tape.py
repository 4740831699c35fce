"""Tapes what passes a node's devices, by packet sockets alone: TCP segments, looked at inside a VXLAN tunnel too.

IPv4 and IPv6, in and around the tunnel; not amid VLAN tags, which a packet socket on the VLAN's own device has not.

An observer that is not ours: it shares no code with the programs, and knows messages by the bytes that a test wrote.
"""

import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from testbed.errors import TestbedError
from testbed.namespace import open_socket
from testbed.topology import NODES, POD_DEVICE, PODS, UNDERLAY_DEVICE, Node

BUFFER_BYTES = 64 << 20
"""Some 25,000 small packets, more than a test sends between two readings."""

FRAME_BYTES = 1 << 17
ANCILLARY_BYTES = 256
VXLAN_PORTS = (4789, 8472)

_ETH_P_ALL = 3
_OUTGOING = 4  # PACKET_OUTGOING of packet(7)
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_SO_RCVBUFFORCE, _SO_TIMESTAMPNS = 33, 35  # asm-generic/socket.h
_TIMESPEC = struct.Struct("=qq")
_STATISTICS = struct.Struct("=II")
_ETHERTYPE, _ETHERNET_BYTES = slice(12, 14), 14
_VXLAN_BYTES = 8 + 8
"""UDP and VXLAN, before the inner frame."""

_IPV4 = struct.Struct("!BxH5xB2x4s4s")
_IPV6 = struct.Struct("!4xHBx16s16s")
_TCP = struct.Struct("!HHIIB7x")
_IPV4_MAPPED = bytes(10) + b"\xff\xff"
_NO_OPERATION, _TIMESTAMP = 1, 8


@dataclass(frozen=True)
class Place:
    """A device and the direction in which packets pass it: where a node's transits begin or end."""

    node: Node
    namespace: str
    device: str
    outgoing: bool
    is_first: bool
    """Whether transits begin here; they end there otherwise."""


@dataclass(frozen=True)
class Segment:
    """A TCP segment as it passed a place; addresses have 16 bytes, IPv4 mapped, `tsval` is 0 without timestamps."""

    place: Place
    source: bytes
    destination: bytes
    source_port: int
    destination_port: int
    seq: int
    ack: int
    tsval: int
    payload: bytes
    time_ns: int = 0
    """When it passed, by CLOCK_REALTIME, as the kernel tells."""


def list_places(nics: Sequence[str] = (UNDERLAY_DEVICE,)) -> list[Place]:
    """Return the places where transits begin and end: pods' devices, and the nodes' underlay devices."""
    ends = [(pod.node, pod.namespace, POD_DEVICE, True) for pod in PODS]
    ends += [(node, node.namespace, nic, False) for node in NODES for nic in nics]
    return [
        Place(node, namespace, device, outgoing, is_first)
        for node, namespace, device, begins_outgoing in ends
        for outgoing, is_first in ((begins_outgoing, True), (not begins_outgoing, False))
    ]


class Tape:
    """Packet sockets on all places of a list, which keep what passes until it is read."""

    def __init__(self, sockets: Sequence[tuple[Place, socket.socket]]) -> None:
        self._sockets = sockets
        self._segments: list[Segment] = []

    def read(self) -> None:
        """Keep what has passed so far. Raises TestbedError if the kernel lost packets."""
        for place, packets in self._sockets:
            self._segments += _read_waiting(place, packets)
            raw = packets.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)
            if _STATISTICS.unpack(raw)[1]:
                raise TestbedError(f"{place.device} in {place.namespace}: the tape lost packets")

    def take(self) -> list[Segment]:
        """Return what has passed since the last time; those of one place in the order in which they passed it."""
        self.read()
        segments, self._segments = self._segments, []
        return segments


@contextmanager
def taping(places: Sequence[Place]) -> Iterator[Tape]:
    """Hold a tape of the places."""
    sockets: list[tuple[Place, socket.socket]] = []
    try:
        for place in places:
            packets = open_socket(place.namespace, socket.AF_PACKET, socket.SOCK_RAW, 0)
            sockets.append((place, packets))
            packets.settimeout(0)
            packets.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, BUFFER_BYTES)
            packets.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            packets.bind((place.device, _ETH_P_ALL))
        yield Tape(sockets)
    finally:
        for _, packets in sockets:
            packets.close()


def read_segment(place: Place, frame: bytes) -> Segment | None:
    """Return the TCP segment in an Ethernet frame or in the VXLAN tunnel that it carries; None where none is."""
    packet = _read_packet(frame)
    if packet and packet.protocol == socket.IPPROTO_UDP and int.from_bytes(packet.payload[2:4]) in VXLAN_PORTS:
        packet = _read_packet(packet.payload[_VXLAN_BYTES:])
    if not packet or packet.protocol != socket.IPPROTO_TCP:
        return None
    source_port, destination_port, seq, ack, offset = _TCP.unpack_from(packet.payload)
    begin = 4 * (offset >> 4)
    return Segment(
        place=place,
        source=packet.source,
        destination=packet.destination,
        source_port=source_port,
        destination_port=destination_port,
        seq=seq,
        ack=ack,
        tsval=read_tsval(packet.payload[_TCP.size : begin]),
        payload=packet.payload[begin:],
    )


@dataclass(frozen=True)
class _Packet:
    """An IP packet without options and extension headers."""

    protocol: int
    source: bytes
    destination: bytes
    payload: bytes


def _read_packet(frame: bytes) -> _Packet | None:
    packet = frame[_ETHERNET_BYTES:]
    if frame[_ETHERTYPE] == b"\x08\x00" and packet[0] == 0x45:
        _, length, protocol, source, destination = _IPV4.unpack_from(packet)
        payload = packet[_IPV4.size : length]
        return _Packet(protocol, _IPV4_MAPPED + source, _IPV4_MAPPED + destination, payload)
    if frame[_ETHERTYPE] == b"\x86\xdd":
        length, protocol, source, destination = _IPV6.unpack_from(packet)
        return _Packet(protocol, source, destination, packet[_IPV6.size : _IPV6.size + length])
    return None


def read_tsval(options: bytes) -> int:
    """Return TSval of the TCP options (RFC 7323 section 3.2), 0 without it."""
    position = 0
    while position < len(options) and options[position]:
        if options[position] == _NO_OPERATION:
            position += 1
        elif options[position] == _TIMESTAMP:
            return int.from_bytes(options[position + 2 : position + 6])
        else:
            position += options[position + 1]
    return 0


def _read_waiting(place: Place, packets: socket.socket) -> Iterator[Segment]:
    """Yield the segments with payload that wait and passed in the place's direction."""
    while True:
        try:
            frame, ancillary, _, address = packets.recvmsg(FRAME_BYTES, ANCILLARY_BYTES)
        except BlockingIOError:
            return
        if (address[2] == _OUTGOING) != place.outgoing:
            continue
        segment = read_segment(place, frame)
        if segment is not None and segment.payload:
            seconds, rest_ns = _TIMESPEC.unpack(ancillary[0][2])
            yield replace(segment, time_ns=seconds * 10**9 + rest_ns)
