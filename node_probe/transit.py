"""The transit value: one packet's stamps on one node, the node that it comes from, and the ids derived from both.

Pure: no IO, no clock. The collector plugin imports this module, the hops' names and the two wire codecs, no more.
"""

import hashlib
import struct
from collections.abc import Iterable
from enum import IntEnum, IntFlag

import msgspec

TRACE_ID_BYTES = 16
SPAN_ID_BYTES = 8
ADDRESS_BYTES = 16
"""Addresses are IPv6, or IPv4 mapped into it (::ffff:a.b.c.d, RFC 4291 section 2.5.5.2)."""

SAMPLED_FLAG = 1
"""Of the flags that a traceparent has (W3C Trace Context, section 3.2.2.5)."""

UNSPECIFIED_ADDRESS = bytes(ADDRESS_BYTES)


MAX_EARLIER = 15
"""Linux gives up a connection after as many retransmissions (tcp_retries2)."""


class Point(IntEnum):
    """A place in the kernel where a packet is stamped: a device and a direction, in the order of a request's way."""

    POD_EGRESS = 1
    VETH_INGRESS = 2
    OVERLAY_EGRESS = 3
    NIC_EGRESS = 4
    NIC_INGRESS = 5
    OVERLAY_INGRESS = 6
    VETH_EGRESS = 7
    POD_INGRESS = 8

    @property
    def label(self) -> str:
        """Return the point's name as users see it: `pod-egress`."""
        return self.name.lower().replace("_", "-")


class Direction(IntEnum):
    """Which message of an exchange the packet begins."""

    REQUEST = 0
    RESPONSE = 1

    @property
    def label(self) -> str:
        """Return `request` or `response`."""
        return self.name.lower()


class ContextFormat(IntEnum):
    """The header that a context was read from."""

    TRACEPARENT = 1
    B3 = 2
    B3MULTI = 3
    UBER_TRACE_ID = 4
    FLOW = 5

    @property
    def label(self) -> str:
        """Return the format's name as users see it: `uber-trace-id`."""
        return self.name.lower().replace("_", "-")


HEADER_FORMATS = (ContextFormat.TRACEPARENT, ContextFormat.B3, ContextFormat.B3MULTI, ContextFormat.UBER_TRACE_ID)
"""Those that are read from a header, in the order of their rank: of several in one request the first counts."""


class Tunnel(IntEnum):
    """The encapsulation that the packet had at the underlay device."""

    NONE = 0
    VXLAN = 1
    GENEVE = 2
    IPIP = 3


class TransitFlag(IntFlag):
    """What is special about a transit."""

    PARTIAL = 1
    """Swept out: the packet never met the node's last point."""
    SEGMENTS = 2
    """The header block lay over several TCP segments."""
    TLS = 4
    AMBIGUOUS = 8


class Context(msgspec.Struct, frozen=True, gc=False):
    """What a packet tells of its trace.

    `trace_id` has 16 bytes and `parent_id` 8, neither all zero; `flags` are the W3C trace flags (bit 0: sampled).
    """

    trace_id: bytes
    parent_id: bytes
    flags: int
    format: ContextFormat

    @property
    def is_sampled(self) -> bool:
        """Return whether the flags ask for the trace to be recorded."""
        return bool(self.flags & SAMPLED_FLAG)


class Stamp(msgspec.Struct, frozen=True, gc=False):
    """The time at which the packet met a point; `monotonic_ns` is the node's CLOCK_MONOTONIC."""

    point: Point
    ifindex: int
    monotonic_ns: int


class Transit(msgspec.Struct, frozen=True):
    """One packet's stamps on one node, in the order met. At least one stamp."""

    context: Context
    direction: Direction
    seq: int
    """TCP sequence number of the message's first byte."""
    tsval: int
    """TCP timestamp value of the packet, 0 where absent; tells attempts of one message apart."""
    client_port: int
    server_port: int
    client_address: bytes
    server_address: bytes
    """As at the first point: on the client's side before DNAT."""
    stamps: tuple[Stamp, ...]
    tunnel: Tunnel = Tunnel.NONE
    flags: TransitFlag = TransitFlag(0)
    earlier: int = 0
    """How many sendings of the message its node had seen before, up to MAX_EARLIER: TCP sends again what was lost."""
    vni: int = 0
    outer_source: bytes = UNSPECIFIED_ADDRESS
    outer_destination: bytes = UNSPECIFIED_ADDRESS
    stream_id: int = 0
    """HTTP/2 stream, 0 for HTTP/1."""


class NodeIdentity(msgspec.Struct, frozen=True):
    """What a batch of transits says of the node that it comes from."""

    name: str
    """The name under which users see the node (`hopspan.node`)."""
    host_id: str
    host_name: str
    clock_id: str
    """The kernel's boot id: stamps are comparable while it is the same."""
    k8s_node_name: str = ""


_MESSAGE = struct.Struct("<16s8sBIIH16sI")
_TSVAL_OFFSET = struct.calcsize("<16s8sBI")
_TSVAL_END = _TSVAL_OFFSET + struct.calcsize("<I")
_NO_ID = bytes(SPAN_ID_BYTES)
_BLANK_HASH = hashlib.blake2b(digest_size=SPAN_ID_BYTES)
TRANSIT_ID_PREFIX = b"transit"


def message_key(transit: Transit) -> bytes:
    """Return the 55 bytes that identify one sending of one message.

    Both nodes of an overlay compute the same key, for it holds only what no hop changes; ids are hashes of it.
    """
    return _MESSAGE.pack(
        transit.context.trace_id,
        transit.context.parent_id,
        transit.direction,
        transit.seq,
        transit.tsval,
        transit.client_port,
        transit.client_address,
        transit.stream_id,
    )


def attempts_key(key: bytes) -> bytes:
    """Return what all attempts of a message have in common: its message key without the TSval."""
    return key[:_TSVAL_OFFSET] + key[_TSVAL_END:]


def derive_id(data: bytes) -> bytes:
    """Return the 8-byte span id of `data`: BLAKE2b, and 1 in place of the all-zero id, which W3C forbids."""
    hashed = _BLANK_HASH.copy()  # a third cheaper than a new one
    hashed.update(data)
    digest = hashed.digest()
    return digest if digest != _NO_ID else (1).to_bytes(SPAN_ID_BYTES, "big")


def derive_ids(prefix: bytes, ends: Iterable[bytes]) -> list[bytes]:
    """Return `derive_id` of the prefix with each end, in less time."""
    hashed = _BLANK_HASH.copy()
    hashed.update(prefix)
    copy_prefix = hashed.copy
    ids = []
    for end in ends:
        hashed = copy_prefix()
        hashed.update(end)
        ids.append(hashed.digest())
    return ids if _NO_ID not in ids else [derive_id(prefix + end) for end in ends]


def transit_id(transit: Transit, node: str) -> bytes:
    """Return the span id under which node `node` sends the transit: the same on every retry."""
    return derive_id(TRANSIT_ID_PREFIX + message_key(transit) + node.encode())
