"""One node's part of a message: a transit, the node that it comes from, and the role that the node has in its way.

Pure. A message that crosses the wire has two halves; one that stays on its node is whole.
"""

import msgspec

from collector_plugin.courses import find_course
from collector_plugin.places import Place
from collector_plugin.reasons import TransitReason
from node_probe.transit import TRACE_ID_BYTES, Point
from node_probe.wire_batch import RawTransit
from node_probe.wire_record import ENDPOINTS, RecordError, read_ends, split_record

MAX_TIME_NS = (1 << 63) - 1
"""OTLP's signed integers end here, and no clock comes near."""

_LAST_OUTGOING = int(Point.NIC_EGRESS)
"""Up to here a packet is on its way to the wire, behind it on its way from there."""


class Origin(msgspec.Struct, frozen=True):
    """Where and when the transits of one batch were made; shared by all of them."""

    place: Place
    epoch_offset_ns: int


class Half:
    """A transit and its origin. Not to be changed; no Struct, for whoever makes one asks for its role many times."""

    __slots__ = (
        "course",
        "endpoints",
        "is_near",
        "origin",
        "raw",
        "role",
        "times_ns",
    )

    def __init__(self, raw: RawTransit, origin: Origin) -> None:
        """Read the transit. Raises RecordError for values that version 1 does not know, and stamps in disorder."""
        shape, self.endpoints, times_ns = split_record(raw.record)
        self.raw = raw
        self.origin = origin
        self.course = course = find_course(shape)
        self.role = course.role
        self.is_near = course.is_near
        self.times_ns = times_ns
        """Of the stamps, in the order of the course's points."""
        before_ns = 0
        for time_ns in times_ns:
            if time_ns < before_ns:
                raise RecordError("stamps are not in the order met")
            before_ns = time_ns

    @property
    def record(self) -> bytes:
        """Return the transit as it was sent."""
        return self.raw.record

    @property
    def server_address(self) -> bytes:
        """Return it as the node saw it first: on the client's side before DNAT."""
        address: bytes = ENDPOINTS.unpack(self.endpoints)[-1]
        return address

    @property
    def first_epoch_ns(self) -> int:
        """Return the first stamp by the node's own wall clock."""
        return self.times_ns[0] + self.origin.epoch_offset_ns


class PackedHalf(msgspec.Struct, frozen=True, gc=False):
    """A half that waits: undecoded, in a fifth of the memory."""

    record: bytes
    flags: int
    origin: Origin

    def unpack(self, parent_key: bytes) -> Half:
        """Return the half; `parent_key` is trace id and span id of its context."""
        raw = RawTransit(self.record, parent_key[:TRACE_ID_BYTES], parent_key[TRACE_ID_BYTES:], self.flags)
        return Half(raw, self.origin)


def pack_half(half: Half) -> PackedHalf:
    """Return the half packed."""
    return PackedHalf(half.raw.record, half.raw.flags, half.origin)


def judge_record(record: bytes, origin: Origin) -> TransitReason | None:
    """Return why a checked record is of no use, whatever message it belongs to; None where it may be."""
    first_point, first_ns, last_point, last_ns = read_ends(record)
    offset_ns = origin.epoch_offset_ns
    # Times that no clock can show, also as epoch times, would not fit a span's fields.
    if last_ns > MAX_TIME_NS or first_ns + offset_ns < 0 or last_ns + offset_ns > MAX_TIME_NS:
        return TransitReason.MALFORMED
    if first_point > _LAST_OUTGOING and last_point <= _LAST_OUTGOING:
        return TransitReason.PASSING
    return None
