"""Application spans packed: ids, kind and times of each in 50 bytes, one after the other.

Pure. They lie as protobuf writes a span that has these fields alone, so that the library packs many at once. Such
bytes are no message to be sent: they are kept, and searched.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence

from collector_plugin.span_walk import ZERO_SPAN_ID, ZERO_TRACE_ID, SpanTimes

# ScopeSpans.spans 2 with its length, then of Span trace_id 1, span_id 2, kind 6, start 7 and end 8 (trace.proto).
_HEAD, _ID_TAG, _KIND_TAG, _START_TAG, _END_TAG = b"\x12\x30\x0a\x10", b"\x12\x08", b"\x30", b"\x39", b"\x41"

_SPAN = struct.Struct("<4s16s2s8scBcQcQ")
_TIMES = struct.Struct("<4x16s2x8sxBxQxQ")
_HALF = struct.Struct("<12x18s20x")

PACKED_BYTES = _SPAN.size
"""Of one span."""

TRACE_PLACE, HALF_PLACE, KIND_PLACE = 4, 12, 31
"""Where in a span begin its trace id, what `half_of` returns of its key, and its kind."""

MAX_KIND = 0x7F
"""A varint of one byte. OTLP has kinds to 5; one that takes more bytes is packed as none."""

_TRACE_BYTES = 16
_RIGHT, _SPAN_ID = slice(8, _TRACE_BYTES), slice(_TRACE_BYTES, None)
"""Of trace id and span id. Slices that are made anew each time take as long as what is cut."""

_FRAME = tuple(
    (place, byte)
    for place, byte in enumerate(
        _SPAN.pack(_HEAD, bytes(16), _ID_TAG, bytes(8), _KIND_TAG, 0, _START_TAG, 0, _END_TAG, 0)
    )
    if byte
)
"""Where in each span which byte stands, whatever its values are."""

_ZERO_SPAN = _ID_TAG + ZERO_SPAN_ID + _KIND_TAG


class PackedSpans:
    """Spans that cannot be changed; iteration and index have them unpacked."""

    __slots__ = ("_halves", "data")

    def __init__(self, data: bytes = b"") -> None:
        """Take what `pack_spans` or `check_packed` made, or several of these in one."""
        self.data = data
        self._halves: list[bytes] | None = None

    @property
    def halves(self) -> list[bytes]:
        """Return of each span what `half_of` returns of its key."""
        if self._halves is None:
            self._halves = [half for (half,) in _HALF.iter_unpack(self.data)]
        return self._halves

    def __len__(self) -> int:
        return len(self.data) // PACKED_BYTES

    def __iter__(self) -> Iterator[SpanTimes]:
        for trace_id, span_id, kind, start_ns, end_ns in _TIMES.iter_unpack(self.data):
            yield trace_id + span_id, kind, start_ns, end_ns

    def __getitem__(self, place: int) -> SpanTimes:
        return unpack_span(self.data, range(len(self))[place])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PackedSpans) and self.data == other.data

    def __hash__(self) -> int:
        return hash(self.data)


Spans = PackedSpans | Iterable[SpanTimes]
"""Packed, or to be packed."""


def pack_spans(spans: Spans) -> PackedSpans:
    """Return the spans packed; those that are so already as they are."""
    return spans if isinstance(spans, PackedSpans) else PackedSpans(b"".join(map(_pack, spans)))


def join_packed(parts: Sequence[PackedSpans]) -> PackedSpans:
    """Return the spans of all parts in one."""
    return parts[0] if len(parts) == 1 else PackedSpans(b"".join([part.data for part in parts]))


def check_packed(data: bytes, count: int) -> PackedSpans | None:
    """Return `data`, what the library wrote of `count` spans, if it is packed spans with lawful ids; else None."""
    if len(data) != count * PACKED_BYTES or not all(
        data[at::PACKED_BYTES].count(byte) == count for at, byte in _FRAME
    ):
        return None
    # Rows of zeros may lie across fields too: then the spans are looked at one by one.
    return None if ZERO_TRACE_ID in data or _ZERO_SPAN in data else PackedSpans(data)


def unpack_span(data: bytes | bytearray, place: int) -> SpanTimes:
    """Return the span with the number `place` of those in `data`."""
    trace_id, span_id, kind, start_ns, end_ns = unpack_parts(data, place)
    return trace_id + span_id, kind, start_ns, end_ns


def unpack_parts(data: bytes | bytearray, place: int) -> tuple[bytes, bytes, int, int, int]:
    """Return the same with trace id and span id apart."""
    parts: tuple[bytes, bytes, int, int, int] = _TIMES.unpack_from(data, place * PACKED_BYTES)
    return parts


def half_of(key: bytes) -> bytes:
    """Return of trace id and span id (24 bytes) what spans are looked up by: without the trace id's left half.

    As it lies in packed spans: eight bytes of the trace id, two that are always the same, and the span id.
    """
    return key[_RIGHT] + _ID_TAG + key[_SPAN_ID]


def join_half(trace_id: bytes, span_id: bytes) -> bytes:
    """Return the same of a trace id (16 bytes) and a span id."""
    return trace_id[_RIGHT] + _ID_TAG + span_id


def _pack(span: SpanTimes) -> bytes:
    key, kind, start_ns, end_ns = span
    if not 0 <= kind <= MAX_KIND:
        kind = 0
    return _SPAN.pack(
        _HEAD,
        key[:_TRACE_BYTES],
        _ID_TAG,
        key[_TRACE_BYTES:],
        _KIND_TAG,
        kind,
        _START_TAG,
        start_ns,
        _END_TAG,
        end_ns,
    )
