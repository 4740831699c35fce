"""OTLP JSON: what the specification asks for, and round trips."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from collector_plugin.otlp_json import OtlpJsonError, decode_request, encode_request
from tests.collector_plugin.builders import SPAN_ID, TRACE_ID, make_request, make_resource_spans, make_span
from tests.collector_plugin.otlp_requests import REQUESTS


def make_full_request() -> bytes:
    """Return a request with one of everything that has its own rule."""
    span = make_span()
    span.attributes.append(KeyValue(key="traceId", value=AnyValue(bytes_value=b"\x00\xff")))
    span.attributes.append(KeyValue(key="big", value=AnyValue(int_value=2**60)))
    span.links.add(trace_id=b"\xab" * 16, span_id=b"\xcd" * 8)
    span.status.code = span.status.STATUS_CODE_ERROR
    return make_request(make_resource_spans([span]))


def test_ids_are_hex_and_enums_are_numbers() -> None:
    """Ids of spans and links are lower-case hex, 64-bit numbers strings, bytes base64, enums numbers."""
    line = encode_request(make_full_request())
    assert b"\n" not in line
    (resource_spans,) = json.loads(line)["resourceSpans"]
    (span,) = resource_spans["scopeSpans"][0]["spans"]
    assert span["traceId"] == TRACE_ID.hex()
    assert span["spanId"] == SPAN_ID.hex()
    assert span["parentSpanId"] == "07" * 8
    assert (span["links"][0]["traceId"], span["links"][0]["spanId"]) == ("ab" * 16, "cd" * 8)
    assert (span["kind"], span["status"]["code"], span["flags"]) == (3, 2, 0x101)
    assert span["startTimeUnixNano"] == "1700000000000000000"
    assert span["attributes"][-2:] == [
        {"key": "traceId", "value": {"bytesValue": "AP8="}},
        {"key": "big", "value": {"intValue": str(2**60)}},
    ]
    assert resource_spans["schemaUrl"].startswith("https://")


def test_round_trip() -> None:
    """What was encoded is decoded to the same bytes."""
    assert decode_request(encode_request(make_full_request())) == make_full_request()


@given(REQUESTS)
def test_round_trip_of_any_request(data: bytes) -> None:
    """Also with ids of odd lengths and texts of any characters."""
    assert decode_request(encode_request(data)) == ExportTraceServiceRequest.FromString(data).SerializeToString()


def test_reader_is_lenient_where_otlp_says_so() -> None:
    """Ids in either case, 64-bit numbers as numbers, and unknown keys."""
    span = {"traceId": "AB" * 16, "spanId": "cD" * 8, "startTimeUnixNano": 5, "later": {"x": 1}}
    line = json.dumps({"at": 3, "resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
    request = ExportTraceServiceRequest.FromString(decode_request(line))
    (got,) = request.resource_spans[0].scope_spans[0].spans
    assert (got.trace_id, got.span_id, got.start_time_unix_nano) == (b"\xab" * 16, b"\xcd" * 8, 5)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"3",
        b'{"resourceSpans": 3}',
        b'{"resourceSpans": [3]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "zz"}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": 3}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"links": [3]}]}]}]}',
        b'{"resourceSpans": [{"resource": {"attributes": [{"value": '
        + b'{"arrayValue": {"values": [' * 60
        + b"]}}" * 60
        + b"}]}}]}",
        b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda line: line[:60].decode(),
)
def test_other_input_is_refused(line: bytes) -> None:
    """What is no request has one error, however deep."""
    with pytest.raises(OtlpJsonError):
        decode_request(line)


@given(st.binary(max_size=60))
def test_garbage_is_refused_or_read(data: bytes) -> None:
    """Any bytes have an answer in either direction."""
    for convert in (encode_request, decode_request):
        try:
            convert(data)
        except OtlpJsonError:
            continue
