"""OTLP/JSON against protobuf's own reader, and what is refused."""

import base64
import json
import math
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from collector_plugin import otlp_walk
from collector_plugin.otlp_json import encode_request
from collector_plugin.otlp_json_request import FREE_OBJECTS, read_otlp_json
from collector_plugin.otlp_json_values import MAX_NESTING
from collector_plugin.otlp_walk import TooManySpansError, walk_request
from hopspan.protowire import WireError
from tests.collector_plugin.builders import make_request, make_resource_spans, make_span
from tests.collector_plugin.mutations import answers_or_refuses, mutate
from tests.collector_plugin.otlp_json_documents import ID, REQUESTS, TRACE


def wrap(span: dict[str, Any]) -> bytes:
    """Return a request with one span."""
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()


def wrap_value(value: Any) -> bytes:
    """Return a request with one attribute."""
    return wrap({"attributes": [{"key": "k", "value": value}]})


def read_value(value: Any) -> AnyValue:
    request = ExportTraceServiceRequest.FromString(read_otlp_json(wrap_value(value)))
    return request.resource_spans[0].scope_spans[0].spans[0].attributes[0].value


def read_by_library(document: dict[str, Any]) -> bytes:
    """Return what protobuf's reader makes of it, which wants ids in base64."""
    for group in document.get("resourceSpans") or ():
        for scope in group.get("scopeSpans") or ():
            for span in scope.get("spans") or ():
                for holder in (span, *(span.get("links") or ())):
                    for key in ("traceId", "spanId", "parentSpanId"):
                        if holder.get(key):
                            holder[key] = base64.b64encode(bytes.fromhex(holder[key])).decode()
    message = json_format.ParseDict(document, ExportTraceServiceRequest(), ignore_unknown_fields=True)
    return message.SerializeToString()


@settings(max_examples=400, deadline=None)
@given(REQUESTS)
def test_bytes_are_those_of_protobufs_reader(document: dict[str, Any]) -> None:
    """Every field, unset ones, nulls and unknown keys: byte for byte what the library writes."""
    data = json.dumps(document).encode()
    assert read_otlp_json(data) == read_by_library(document)


def test_exported_json_is_read_back() -> None:
    """What the file exporter writes is the request it came from."""
    data = make_request(make_resource_spans([make_span()]), make_resource_spans([make_span()], service="cart"))
    assert read_otlp_json(encode_request(data)) == data


def test_request_without_spans_is_empty() -> None:
    """Lawful, and a success to whoever sends it; snake_case keys are unknown ones."""
    for data in (b"{}", b'{"resourceSpans":[]}', b'{"resourceSpans":null}', b'{"resource_spans":[{}]}'):
        assert read_otlp_json(data) == b""


@pytest.mark.parametrize(
    ("text", "expected"), [("-_8=", b"\xfb\xff"), ("-_8", b"\xfb\xff"), ("+/8=", b"\xfb\xff"), ("", b"")]
)
def test_base64_of_both_alphabets(text: str, expected: bytes) -> None:
    """With padding or without, as protobuf's JSON allows."""
    assert read_value({"bytesValue": text}) == AnyValue(bytes_value=expected)


def test_doubles_that_json_has_no_number_for() -> None:
    """They are texts."""
    assert math.isnan(read_value({"doubleValue": "NaN"}).double_value)
    assert read_value({"doubleValue": "-Infinity"}).double_value == -math.inf


@pytest.mark.parametrize("kind", ["arrayValue", "kvlistValue"])
def test_nesting_is_bounded_where_protobuf_can_still_read(kind: str) -> None:
    """What is taken, the library reads: in an attribute, an event and a map in either."""

    def nest(levels: int) -> dict[str, Any]:
        value: dict[str, Any] = {"stringValue": "deep"}
        for _ in range(levels):
            value = {kind: {"values": [value if kind == "arrayValue" else {"key": "k", "value": value}]}}
        return value

    deep = [{"key": "k", "value": nest(MAX_NESTING)}]
    ExportTraceServiceRequest.FromString(read_otlp_json(wrap({"attributes": deep, "events": [{"attributes": deep}]})))
    for levels in (MAX_NESTING + 1, 200, 20_000):
        text = wrap_value("DEEP").replace(b'"DEEP"', write_nested(kind, levels))
        with pytest.raises(WireError, match="nested"):
            read_otlp_json(text)


def write_nested(kind: str, levels: int) -> bytes:
    """Return nested values as text: json.dumps has a bound of its own."""
    before, after = ("", "") if kind == "arrayValue" else ('{"key":"k","value":', "}")
    opening = f'{{"{kind}":{{"values":[{before}'
    return (opening * levels + '{"stringValue":"deep"}' + f"{after}]}}}}" * levels).encode()


@pytest.mark.parametrize(
    "span",
    [
        {"traceId": "zz" * 16}, {"traceId": TRACE[1:]}, {"traceId": TRACE[2:]}, {"spanId": TRACE}, {"spanId": 5},
        {"traceId": "CvdlGRbNQ92ESOshHIAxnA=="}, {"parentSpanId": " " + ID}, {"links": [{"traceId": "ab"}]},
        {"kind": "SPAN_KIND_CLIENT"}, {"kind": "3"}, {"kind": 2**31}, {"status": {"code": "STATUS_CODE_OK"}},
        {"startTimeUnixNano": -1}, {"startTimeUnixNano": str(2**64)}, {"startTimeUnixNano": "1.5"},
        {"startTimeUnixNano": 1.5}, {"startTimeUnixNano": "1_0"}, {"startTimeUnixNano": "9" * 5000},
        {"startTimeUnixNano": True}, {"flags": 2**32}, {"droppedLinksCount": -1}, {"droppedEventsCount": 1e10},
        {"name": 5}, {"attributes": {}}, {"attributes": [None]}, {"events": [5]}, {"attributes": [{"key": 5}]},
    ],
    ids=lambda span: repr(span)[:60],
)  # fmt: skip
def test_fields_of_the_wrong_kind_are_refused(span: dict[str, Any]) -> None:
    """Ids in base64, enums by name, numbers out of range: one documented error."""
    with pytest.raises(WireError):
        read_otlp_json(wrap(span))


@pytest.mark.parametrize(
    "value",
    [
        {"intValue": 2**63}, {"intValue": "x"}, {"intValue": True}, {"boolValue": "true"}, {"boolValue": 1},
        {"doubleValue": "inf"}, {"doubleValue": "1e999"}, {"doubleValue": "nan"}, {"doubleValue": "0x1"},
        {"bytesValue": "a*b="}, {"bytesValue": "é"}, {"bytesValue": "a"}, {"stringValue": 5}, {"arrayValue": []},
        {"stringValue": "a", "boolValue": False}, {"intValue": 1, "doubleValue": 1}, "text",
        {"arrayValue": {"values": [None]}},
    ],
    ids=repr,
)  # fmt: skip
def test_values_of_the_wrong_kind_are_refused(value: Any) -> None:
    """A value is of one kind, and written as that kind is."""
    with pytest.raises(WireError):
        read_otlp_json(wrap_value(value))


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"null", b"7", b"{", b'{"resourceSpans":{}}', b'{"a":"\xff"}', b"{} {}", b"\x0a\x00", b'{"a":NaN}'],
)
def test_what_is_no_request_is_refused(data: bytes) -> None:
    """No object, cut short, no UTF-8."""
    with pytest.raises(WireError):
        read_otlp_json(data)


def test_too_many_spans_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are counted while they are made, over all scopes together."""
    monkeypatch.setattr(otlp_walk, "MAX_SPANS", 23)
    scope: dict[str, Any] = {"spans": [{}] * 12}
    with pytest.raises(TooManySpansError, match="more than 23 spans"):
        read_otlp_json(json.dumps({"resourceSpans": [{"scopeSpans": [scope, scope]}]}).encode())
    scope = {"spans": [{}] * 23}
    data = read_otlp_json(json.dumps({"resourceSpans": [{"scopeSpans": [scope]}]}).encode())
    assert walk_request(data).span_count == 23


@pytest.mark.parametrize("place", ["resourceSpans", "scopeSpans", "events", "attributes", "values"])
def test_flood_of_empty_objects_is_refused(place: str) -> None:
    """Three bytes become a hundred of memory, so there may not be more objects than so many bytes lawfully hold."""
    flood = json.dumps({place: [{}] * (2 * FREE_OBJECTS)})
    if place == "values":
        flood = json.dumps({"attributes": [{"value": {"arrayValue": json.loads(flood)}}]})
    if place not in ("resourceSpans", "scopeSpans"):
        flood = json.dumps({"spans": [json.loads(flood)]})
    if place not in ("resourceSpans", "scopeSpans"):
        flood = json.dumps({"scopeSpans": [json.loads(flood)]})
    if place != "resourceSpans":
        flood = json.dumps({"resourceSpans": [json.loads(flood)]})
    with pytest.raises(TooManySpansError, match="too many objects"):
        read_otlp_json(flood.encode())


def test_densest_lawful_list_is_taken() -> None:
    """A list of small numbers has as many objects to a byte as any sender writes."""
    value = {"arrayValue": {"values": [{"intValue": 1}] * 100_000}}
    assert len(read_value(json.loads(json.dumps(value, separators=(",", ":")))).array_value.values) == 100_000


SAMPLES = [
    encode_request(make_request(make_resource_spans([make_span()]))),
    wrap_value(
        {"kvlistValue": {"values": [{"key": "a", "value": {"arrayValue": {"values": [{"doubleValue": 1.5}]}}}]}}
    ),
    wrap({"events": [{"timeUnixNano": "5", "name": "e"}], "links": [{"traceId": TRACE, "spanId": ID}], "status": {}}),
]


@pytest.mark.parametrize("seed", range(4))
def test_damaged_requests_are_read_whole_or_refused(seed: int) -> None:
    """Nothing but the documented error gets out, and what is taken is a request to protobuf too."""
    taken = 0
    for data in mutate(SAMPLES, seed, 1500):
        if answers_or_refuses(read_otlp_json, data):
            ExportTraceServiceRequest.FromString(read_otlp_json(data))
            taken += 1
    assert 0 < taken < 1500


@given(st.binary(max_size=60))
def test_garbage_is_refused(data: bytes) -> None:
    """Random bytes are no request, but for those that are."""
    if answers_or_refuses(read_otlp_json, data):
        assert isinstance(json.loads(data), dict)
