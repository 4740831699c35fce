"""How a transit looks as the kernel's record and as an OTLP `Span`: all that is known before its record is read.

Pure. For a number of stamps each field of the span has a fixed length, so tags and lengths are constants, and a span
is two `struct.pack`. Fields: trace.proto and common.proto of OTLP; the bytes of its attribute: wire_record.
"""

import struct
from collections.abc import Callable, Mapping, Sequence

from hopspan.protowire import FIXED32, FIXED64, LENGTH, write_integer, write_length, write_varint
from node_probe.interfaces import identify_interfaces
from node_probe.kernel_record import CONTEXT_OFFSET, RECORD_BYTES, RECORD_FIELDS, check_kind, offset_of
from node_probe.transit import SAMPLED_FLAG, SPAN_ID_BYTES, TRACE_ID_BYTES, Point
from node_probe.wire_record import HEAD_BYTES, RECORD_KEY, SPAN_NAME, STAMP_BYTES
from node_probe.wire_record import VERSION as WIRE_VERSION

# What kernel and wire hold in the same order of bytes is never made a number. The kernel writes in the host's order;
# that it is the wire's, little-endian, is what the ring's reader requires of the machine.
read_fixed = struct.Struct("=6x2s2s2x8s4s16s16s32s").unpack_from
"""Client port, server port, sequence number with TSval, VNI, client address, server address, both outer addresses."""

_CONTEXT_CODES = f"={CONTEXT_OFFSET}x2sBx4s3x32sx16sx2s"
read_context = struct.Struct(f"{_CONTEXT_CODES}{RECORD_BYTES - struct.calcsize(_CONTEXT_CODES)}x").unpack
"""Format with coding, length, stream, and of a traceparent's text the three fields in hex. Raises struct.error
where the bytes are not as many as a record has."""

_TIMES_OFFSET = offset_of(RECORD_FIELDS, "monotonic_ns")
_IFINDEXES_OFFSET = offset_of(RECORD_FIELDS, "ifindex")

_SPANS = 2  # field of ScopeSpans; other numbers below are of Span, and of KeyValue and AnyValue in its attribute
_KIND_INTERNAL = 1

_STAMP_HEAD = struct.Struct("<B3xI")


def _tag(number: int, wire_type: int) -> bytes:
    return write_varint(number << 3 | wire_type)


def _open(number: int, length: int) -> bytes:
    return _tag(number, LENGTH) + write_varint(length)


FLAGS = {b"%02x" % flags: _tag(16, FIXED32) + struct.pack("<I", flags) for flags in range(SAMPLED_FLAG, 256, 2)}
"""The last field of a span by its flags in hex, of those that are sampled: no other context becomes a span."""

_FLAGS_BYTES = 6


class Place:
    """The interfaces of a transit's points. Compared by identity: there is one for each combination that occurred."""

    __slots__ = ("ifindexes", "slots")

    def __init__(self, ifindexes: Mapping[Point, int], hosts_of_pods: Mapping[int, Sequence[int]]) -> None:
        """Take the indexes by point as the kernel gave them, in the order of points; see identify_interfaces."""
        unique = identify_interfaces(ifindexes, hosts_of_pods)
        self.ifindexes = frozenset(unique.values())
        """Unique within the node."""
        heads = [_STAMP_HEAD.pack(point, ifindex) for point, ifindex in unique.items()]
        self.slots: list[bytes | int] = [slot for head in heads for slot in (head, 0)]
        """For each stamp what stands before its time, and room for the time."""


class Layout:
    """What all spans have in common whose records begin with the same KIND_BYTES."""

    __slots__ = (
        "constants",
        "direction",
        "pack_body",
        "pack_stamps",
        "places",
        "points",
        "read_ifindexes",
        "read_times",
    )

    def __init__(self, kind: bytes, context_format: int) -> None:
        """Take the first KIND_BYTES of a record, and its context's format. Raises KernelRecordError."""
        check_kind(kind, RECORD_BYTES)
        _, direction, seen, flags, tunnel, _ = kind
        self.points = tuple(point for point in Point if seen >> (point - 1) & 1)
        count = len(self.points)
        self.direction = bytes([direction])
        self.read_times = _read_points(_TIMES_OFFSET, self.points, "Q", "8x")
        self.read_ifindexes = _read_points(_IFINDEXES_OFFSET, self.points, "I", "4x")
        self.pack_stamps = struct.Struct("<" + "8sQ" * count).pack
        self.constants = _list_constants(
            record_bytes=HEAD_BYTES + STAMP_BYTES * count,
            before_order=bytes([WIRE_VERSION, direction, context_format, count]),
            before_vni=bytes([tunnel, flags, 0, 0]),
        )
        """What stands before each of the variable parts."""
        codes = [f"{len(constant)}s{part}" for constant, part in zip(self.constants, _VARIABLE_PARTS, strict=True)]
        self.pack_body = struct.Struct("<" + "".join(codes)).pack
        """Takes constants and variable parts in turn; stamps and flags follow it."""
        self.places: dict[tuple[int, ...], Place] = {}
        """By the interface indexes as the kernel gave them."""


_VARIABLE_PARTS = ("16s", "8s", "8s", "Q", "Q", "8s2s2s16s16s", "4s32s4s4x")
"""Trace id; span id; parent id; start; end; sequence number with TSval, ports and addresses; VNI, outer, stream."""


def _list_constants(record_bytes: int, before_order: bytes, before_vni: bytes) -> tuple[bytes, ...]:
    record = _open(7, record_bytes)  # AnyValue.bytes_value
    value = _open(2, len(record) + record_bytes) + record
    key = write_length(1, RECORD_KEY.encode())
    attribute = _open(9, len(key) + len(value) + record_bytes) + key + value
    constants = (
        _open(1, TRACE_ID_BYTES),
        _open(2, SPAN_ID_BYTES),
        _open(4, SPAN_ID_BYTES),
        write_length(5, SPAN_NAME.encode()) + write_integer(6, _KIND_INTERNAL) + _tag(7, FIXED64),
        _tag(8, FIXED64),
        attribute + before_order,
        before_vni,
    )
    # What follows `attribute` belongs to the record, whose length is known.
    times_and_ids = struct.calcsize("<" + "".join(_VARIABLE_PARTS[:5]))
    length = sum(map(len, constants[:5])) + times_and_ids + len(attribute) + record_bytes + _FLAGS_BYTES
    return _open(_SPANS, length) + constants[0], *constants[1:]


def _read_points(offset: int, points: Sequence[Point], code: str, skip: str) -> Callable[[bytes], tuple[int, ...]]:
    codes = "".join(code if point in points else skip for point in Point)
    return struct.Struct(f"={offset}x{codes}").unpack_from
