"""Notes the HTTP requests that pass a device, with the context of each: an answer independent of hopspan's own.

A pure reader of frames, and a thin edge that captures them. A request is seen where its whole header block lies in
one packet, as the testbed's do; a second request in the same packet is not looked for.
"""

import re
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address
from types import TracebackType
from typing import Self

from testbed.errors import TestbedError
from testbed.namespace import open_socket

_ETHERNET = struct.Struct("!12xH")
_IPV4 = struct.Struct("!BxHxxHxBxx4s4s")
_TCP = struct.Struct("!2xH8xB7x")
_ETHERTYPE_IPV4 = 0x0800
_PROTOCOL_TCP = 6
_IPV4_VERSION = 4
_FRAGMENT_OFFSET = 0x1FFF

_HEADERS = re.compile(rb"[A-Z]+ \S+ HTTP/1\.1(\r\n.*?\r\n)\r\n", re.DOTALL)
# W3C Trace Context 2.2: version 00, ids in lower case; header names are case-insensitive.
_TRACEPARENT = re.compile(rb"\r\n(?i:traceparent):[ \t]*00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}[ \t]*(?=\r\n)")

_ETH_P_ALL = 3
_SOL_PACKET = 263
_PACKET_STATISTICS = 6
_PACKET_IGNORE_OUTGOING = 23  # Linux 4.20
_STATISTICS = struct.Struct("II")
"""struct tpacket_stats of packet(7): packets, drops."""

_FRAME_BYTES = 1 << 17
"""More than a GSO packet of 64 KiB with its headers."""

_POLL_INTERVAL_S = 0.02
"""A socket's default buffer (208 KiB) lasts for 10 MB a second, far more than the testbed's."""


@dataclass(frozen=True)
class WireRequest:
    """A request as its packet carried it: where it goes, trace id (16 bytes) and parent span id (8)."""

    address: IPv4Address
    port: int
    trace_id: bytes
    parent_id: bytes


def read_request(frame: bytes) -> WireRequest | None:
    """Return the request in an Ethernet frame, or None where it is anything but HTTP/1.1 with a context."""
    try:
        (ethertype,) = _ETHERNET.unpack_from(frame)
        return _read_packet(frame[_ETHERNET.size :]) if ethertype == _ETHERTYPE_IPV4 else None
    except struct.error:  # shorter than its headers
        return None


def _read_packet(packet: bytes) -> WireRequest | None:
    first, total_bytes, fragment, protocol, _, destination = _IPV4.unpack_from(packet)
    if first >> 4 != _IPV4_VERSION or protocol != _PROTOCOL_TCP or fragment & _FRAGMENT_OFFSET:
        return None
    # The total length cuts off what Ethernet pads short frames with.
    segment = packet[4 * (first & 0xF) : total_bytes]
    port, data_offset = _TCP.unpack_from(segment)
    headers = _HEADERS.match(segment[4 * (data_offset >> 4) :])
    context = _TRACEPARENT.search(headers[1]) if headers else None
    if context is None:
        return None
    trace_id, parent_id = (bytes.fromhex(text.decode()) for text in context.groups())
    return WireRequest(IPv4Address(destination), port, trace_id, parent_id)


class WireWatch:
    """Captures what comes in at one device, in a thread, until `stop` or the end of its block.

    The capture lies on the way of packets that hopspan times, so it costs them as little as can be: what goes out is
    not looked at, and nobody sleeps on the socket, or each packet would have to wake the reader before it went on.
    """

    def __init__(self, namespace: str, device: str) -> None:
        """Open the capture. Raises TestbedError that names the device."""
        self._requests: list[WireRequest] = []
        self._stopping = threading.Event()
        self._device = device
        # Protocol 0 receives nothing before bind, which names device and protocol at once.
        self._socket = open_socket(namespace, socket.AF_PACKET, socket.SOCK_RAW)
        self._socket.settimeout(0)
        try:
            self._socket.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
            self._socket.bind((device, _ETH_P_ALL))
        except OSError as error:
            self._socket.close()
            raise TestbedError(f"{device} in {namespace}: no capture: {error.strerror}") from error
        self._thread = threading.Thread(target=self._run, name=f"watch-{device}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()
        self._socket.close()

    def stop(self) -> tuple[WireRequest, ...]:
        """Return all requests captured up to now. Raises TestbedError if the kernel lost packets."""
        self._stopping.set()
        self._thread.join()
        statistics = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)
        _, drops = _STATISTICS.unpack(statistics)
        if drops:
            raise TestbedError(f"{self._device}: the capture lost {drops} packets")
        return tuple(self._requests)

    def _run(self) -> None:
        while not self._stopping.wait(_POLL_INTERVAL_S):
            self._read_waiting()
        self._read_waiting()

    def _read_waiting(self) -> None:
        """Read until nothing waits; a device that went away has no more either."""
        with suppress(OSError):
            while True:
                request = read_request(self._socket.recv(_FRAME_BYTES))
                if request is not None:
                    self._requests.append(request)
