"""OTLP JSON becomes spans, or a TraceFileError that says where and why."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from traceview.otlp_json import MAX_LINE_BYTES, TraceFileError, read_spans
from traceview.span import Span, SpanKind

SPAN: dict[str, Any] = {
    "traceId": "5B8EFFF798038103D269B633813FC60C",
    "spanId": "eee19b7ec3c1b174",
    "parentSpanId": "EEE19B7EC3C1B173",
    "name": "GET cart",
    "kind": 3,
    "startTimeUnixNano": "1544712660000000000",
    "endTimeUnixNano": 1544712661000000123,
}


def write_line(**changes: Any) -> bytes:
    span = {key: value for key, value in (SPAN | changes).items() if value is not ...}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "frontend"}}]}
    spans = [{"scope": {"name": "app"}, "spans": [span]}]
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": spans}]}).encode()


def read_one(line: bytes) -> Span:
    (span,) = read_spans([line])
    return span


def test_fields_of_a_span() -> None:
    """Ids are read in either case, times as strings and as numbers."""
    span = read_one(write_line())
    assert span.trace_id.hex() == "5b8efff798038103d269b633813fc60c"
    assert span.span_id.hex() == "eee19b7ec3c1b174"
    assert span.parent_id.hex() == "eee19b7ec3c1b173"
    assert (span.name, span.kind, span.scope, span.service) == ("GET cart", SpanKind.CLIENT, "app", "frontend")
    assert (span.start_ns, span.end_ns) == (1544712660000000000, 1544712661000000123)
    assert span.duration_ns == 1_000_000_123


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"stringValue": "eth0"}, "eth0"),
        ({"intValue": "239412"}, 239412),
        ({"intValue": -7}, -7),
        ({"doubleValue": 0.5}, 0.5),
        ({"boolValue": False}, False),
        ({"bytesValue": "AQI="}, b"\x01\x02"),
        ({"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": "2"}]}}, ("a", "2")),
        ({"arrayValue": {}}, ()),
        ({"kvlistValue": {"values": []}}, '{"values": []}'),
        ({}, ""),
    ],
)
def test_attribute_values(value: dict[str, Any], expected: object) -> None:
    """Every kind of AnyValue has a plain Python value."""
    assert read_one(write_line(attributes=[{"key": "k", "value": value}])).attributes == {"k": expected}


@pytest.mark.parametrize("parent", ["", "0000000000000000", None, ...])
def test_root_has_no_parent(parent: object) -> None:
    """A root's parent is written in four ways, all of which mean none."""
    assert read_one(write_line(parentSpanId=parent)).parent_id == b""


@pytest.mark.parametrize(
    ("kind", "expected"), [(2, SpanKind.SERVER), (99, SpanKind.UNSPECIFIED), (None, 0), (..., 0)]
)
def test_kinds(kind: object, expected: int) -> None:
    """A kind that is absent or not known is unspecified, no error."""
    assert read_one(write_line(kind=kind)).kind == expected


def test_status_error_is_kept() -> None:
    """Status code 2 marks a failed span, others do not."""
    assert read_one(write_line(status={"code": 2})).failed
    assert not read_one(write_line(status={"code": 1})).failed


def test_unknown_fields_and_blank_lines_are_ignored() -> None:
    """Fields of later releases and empty lines change nothing."""
    assert read_spans([b"\n", write_line(flags=257, droppedAttributesCount=1, new={"a": [1]}), b"", b'{"other":1}'])


@pytest.mark.parametrize("line", [b"{}", b'{"resourceSpans":null}', b'{"resourceSpans":[{}]}'])
def test_request_without_spans(line: bytes) -> None:
    """A request may hold nothing, at every level."""
    assert read_spans([line]) == ()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"resourceSpans":', "truncated"),
        (b"[]", "Expected `object`"),
        (b"\xff\xfe", "malformed"),
        (write_line(name=5), "$.resourceSpans[0].scopeSpans[0].spans[0].name"),
        (write_line(traceId=...), "traceId"),
        (write_line(traceId="abc"), "'GET cart' 'eee19b7ec3c1b174': traceId is not 32 hex digits: 'abc'"),
        (write_line(spanId="zz" * 8), "spanId is not 16 hex digits"),
        (write_line(spanId="ee e19b7ec3c1b174"), "spanId is not 16 hex digits"),
        (write_line(traceId="0" * 32), "traceId is all zeros"),
        (write_line(parentSpanId="12"), "parentSpanId is not 16 hex digits"),
        (write_line(startTimeUnixNano="soon"), "startTimeUnixNano is not a 64-bit integer: 'soon'"),
        (write_line(endTimeUnixNano=-1), "endTimeUnixNano is not a 64-bit time: -1"),
        (write_line(endTimeUnixNano=str(2**64)), "endTimeUnixNano is not a 64-bit time"),
        (write_line(endTimeUnixNano="9" * 5000), "endTimeUnixNano is not a 64-bit integer"),
        (write_line(attributes=[{"key": "k", "value": {"intValue": "1e3"}}]), "k is not a 64-bit integer"),
        (write_line(attributes=[{"key": "k", "value": {"bytesValue": "%"}}]), "k is not base64"),
        (b" " * (MAX_LINE_BYTES + 1) + b"{}", f"longer than {MAX_LINE_BYTES} bytes"),
    ],
)
def test_errors_name_line_and_fault(line: bytes, words: str) -> None:
    """The error names the line, counted from 1, and what was wrong in it."""
    with pytest.raises(TraceFileError) as caught:
        read_spans([write_line(), line])
    assert str(caught.value).startswith("line 2: ")
    assert words in str(caught.value)
    assert len(str(caught.value)) < 300


def test_deep_nesting_is_an_error() -> None:
    """Values nested beyond Python's stack are refused, not a crash."""
    deep = b'{"arrayValue":{"values":[' * 50_000
    line = write_line(attributes=[{"key": "k", "value": 0}]).replace(b'"value": 0', b'"value": ' + deep)
    with pytest.raises(TraceFileError, match="line 1: "):
        read_spans([line])


def test_every_prefix_is_an_error() -> None:
    """A line that was cut anywhere is refused, as a file has it whose writer was killed."""
    line = write_line()
    for length in range(1, len(line)):
        with pytest.raises(TraceFileError, match="line 1: "):
            read_spans([line[:length]])


@settings(deadline=None, database=None)
@given(st.binary(max_size=200))
def test_random_bytes(data: bytes) -> None:
    """Any bytes are spans or the documented error."""
    try:
        read_spans([data])
    except TraceFileError:
        return


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, database=None)
@given(st.sampled_from([*SPAN, "attributes", "status"]), _JSON)
def test_random_fields(field: str, value: object) -> None:
    """Any JSON in any field is a span or the documented error."""
    try:
        read_spans([write_line(**{field: value})])
    except TraceFileError:
        return
