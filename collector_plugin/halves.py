"""One node's part of a message: a transit, the node that it comes from, and the role that the node has in its way.

Pure. A message that crosses the wire has two halves; one that stays on its node is whole.
"""

import enum
from collections.abc import Mapping

import msgspec

from collector_plugin.reasons import TransitReason
from node_probe.transit import TRACE_ID_BYTES, Direction, Point, Transit
from node_probe.wire_batch import NodeIdentity, RawTransit
from node_probe.wire_record import read_ends

MAX_TIME_NS = (1 << 63) - 1
"""OTLP's signed integers end here, and no clock comes near."""


class Origin(msgspec.Struct, frozen=True):
    """Where and when the transits of one batch were made; shared by all of them."""

    node: NodeIdentity
    epoch_offset_ns: int
    interfaces: Mapping[int, str]


class Role(enum.IntEnum):
    """What a node is in the way of a packet."""

    WHOLE = enum.auto()
    """From a pod to a pod of the same node."""
    SENDER = enum.auto()
    """From a pod towards the wire."""
    RECEIVER = enum.auto()
    """From the wire towards a pod."""
    PASSING = enum.auto()
    """From the wire to the wire."""


class Half:
    """A transit and its origin. Not to be changed; no Struct, for whoever makes one asks for its role many times."""

    __slots__ = ("is_near", "origin", "raw", "role", "transit")

    def __init__(self, transit: Transit, origin: Origin, raw: RawTransit | None = None) -> None:
        """Tell the node's role by the first and the last point: a swept transit lacks points, not its role.

        `raw` is what `transit` was decoded from, where that is known.
        """
        self.transit = transit
        self.raw = raw
        self.origin = origin
        outgoing = transit.stamps[0].point <= Point.NIC_EGRESS
        incoming = transit.stamps[-1].point >= Point.NIC_INGRESS
        self.role = _ROLES[outgoing, incoming]
        self.is_near = outgoing if transit.direction is Direction.REQUEST else incoming
        """Whether this is the client side: the node whose pod opened the connection, thus the parent's."""

    @property
    def first_epoch_ns(self) -> int:
        """Return the first stamp by the node's own wall clock."""
        return self.transit.stamps[0].monotonic_ns + self.origin.epoch_offset_ns


_ROLES = {
    (True, True): Role.WHOLE,
    (True, False): Role.SENDER,
    (False, True): Role.RECEIVER,
    (False, False): Role.PASSING,
}


class PackedHalf(msgspec.Struct, frozen=True, gc=False):
    """A half that waits: undecoded, in a fifth of the memory."""

    record: bytes
    flags: int
    origin: Origin

    def unpack(self, parent_key: bytes) -> Half:
        """Return the half; `parent_key` is trace id and span id of its context."""
        raw = RawTransit(self.record, parent_key[:TRACE_ID_BYTES], parent_key[TRACE_ID_BYTES:], self.flags)
        return Half(raw.decode(), self.origin, raw)


def pack_half(half: Half) -> PackedHalf | None:
    """Return the half packed, None where it is not known what it was decoded from."""
    return PackedHalf(half.raw.record, half.raw.flags, half.origin) if half.raw is not None else None


def judge_record(record: bytes, origin: Origin) -> TransitReason | None:
    """Return why a checked record is of no use, whatever message it belongs to; None where it may be."""
    first_point, first_ns, last_point, last_ns = read_ends(record)
    offset_ns = origin.epoch_offset_ns
    # Times that no clock can show, also as epoch times, would not fit a span's fields.
    if last_ns > MAX_TIME_NS or first_ns + offset_ns < 0 or last_ns + offset_ns > MAX_TIME_NS:
        return TransitReason.MALFORMED
    if first_point > Point.NIC_EGRESS and last_point < Point.NIC_INGRESS:
        return TransitReason.PASSING
    return None
