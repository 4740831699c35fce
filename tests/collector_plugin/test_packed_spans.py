"""Spans as they are kept: packed and unpacked, and what of the library's bytes is taken as it is."""

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span

from collector_plugin.packed_spans import MAX_KIND, PACKED_BYTES, check_packed, half_of, pack_spans
from collector_plugin.span_walk import SpanTimes

TRACE_ID, SPAN_ID = bytes(range(1, 17)), bytes(range(33, 41))
SPAN: SpanTimes = (TRACE_ID + SPAN_ID, 3, 5, 2**64 - 1)
OTHER: SpanTimes = (b"t" * 16 + b"s" * 8, 1, 2**64 - 1, 0)


def make_span(**changes: int | bytes) -> Span:
    """Return SPAN as a message, with `changes`."""
    values = {"trace_id": TRACE_ID, "span_id": SPAN_ID, "kind": 3, "start_time_unix_nano": 5}
    return Span(**{**values, "end_time_unix_nano": 2**64 - 1, **changes})  # type: ignore[arg-type]  # checked by name


def write(*spans: Span) -> bytes:
    """Return the spans as the library writes them."""
    return ScopeSpans(spans=spans).SerializeToString()


def test_spans_are_unpacked_as_they_were() -> None:
    """Ids, kind and times are whole, in order, by iteration and by index."""
    packed = pack_spans([SPAN, OTHER])
    assert list(packed) == [packed[0], packed[1]] == [SPAN, OTHER]
    assert len(packed) == 2
    assert len(packed.data) == 2 * PACKED_BYTES
    assert packed.halves == [half_of(SPAN[0]), half_of(OTHER[0])]
    assert pack_spans(packed) is packed
    with pytest.raises(IndexError):
        packed[2]


def test_half_of_a_key_is_all_but_the_traces_left_half() -> None:
    """B3 allows trace ids without it."""
    half = half_of(SPAN[0])
    assert (half[:8], half[-8:]) == (TRACE_ID[8:], SPAN_ID)
    assert half_of(bytes(8) + SPAN[0][8:]) == half_of(SPAN[0])


def test_what_the_library_writes_is_taken_as_it_is() -> None:
    """The bytes of spans that have these fields alone are the packed ones."""
    data = write(make_span(), make_span(kind=1))
    packed = check_packed(data, 2)
    assert packed == pack_spans([SPAN, (SPAN[0], 1, *SPAN[2:])])
    assert packed is not None
    assert packed.data is data


@pytest.mark.parametrize(
    "changes",
    [
        {"trace_id": b""},
        {"trace_id": b"t" * 15},
        {"trace_id": b"t" * 20, "span_id": b"s" * 4},
        {"trace_id": SPAN_ID, "span_id": TRACE_ID},
        {"trace_id": bytes(16)},
        {"span_id": bytes(8)},
        {"kind": 0},
        {"kind": MAX_KIND + 1},
        {"kind": -1, "start_time_unix_nano": 0},
        {"kind": -1, "end_time_unix_nano": 0},
        {"start_time_unix_nano": 0},
        {"end_time_unix_nano": 0},
        {"flags": 1},
    ],
    ids=str,
)
def test_other_spans_are_not_taken_as_they_are(changes: dict[str, int | bytes]) -> None:
    """A field that is missing, too long or too much is found out, alone and among others."""
    assert check_packed(write(make_span(**changes)), 1) is None
    assert check_packed(write(make_span(), make_span(**changes), make_span()), 3) is None


def test_kind_that_no_release_knows_is_none() -> None:
    """A kind of more than one byte is packed as 0."""
    assert [kind for _, kind, _, _ in pack_spans([(SPAN[0], kind, 1, 2) for kind in (MAX_KIND, 128, -1)])] == [
        127,
        0,
        0,
    ]
