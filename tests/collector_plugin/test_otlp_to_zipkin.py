"""OTLP as Zipkin's JSON: the specification's mapping, one rule a test, and any lawful request."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from collector_plugin.otlp_json_request import read_otlp_json
from collector_plugin.otlp_to_zipkin import convert_request
from collector_plugin.zipkin_walk import walk_zipkin
from hopspan.protowire import WireError
from tests.collector_plugin.builders import (
    EPOCH_NS,
    SPAN_ID,
    TRACE_ID,
    make_attributes,
    make_request,
    make_resource_spans,
    make_span,
)
from tests.collector_plugin.mutations import answers_or_refuses, mutate
from tests.collector_plugin.otlp_json_documents import REQUESTS as JSON_REQUESTS


def convert(span: Span, **around: Any) -> dict[str, Any]:
    """Return the JSON object of one span."""
    (converted,) = json.loads(convert_request(make_request(make_resource_spans([span], **around))).data)
    assert isinstance(converted, dict)
    return converted


def test_span_with_all_that_stands_around_it() -> None:
    """Ids are hex, times microseconds; resource and scope are tags but for the service, which is the endpoint's."""
    assert convert(make_span(attributes=1), service="Frontend") == {
        "traceId": TRACE_ID.hex(),
        "parentId": "0707070707070707",
        "id": SPAN_ID.hex(),
        "kind": "CLIENT",
        "name": "GET cart",
        "timestamp": EPOCH_NS // 1000,
        "duration": 40_000,
        "localEndpoint": {"serviceName": "frontend"},
        "tags": {"host.name": "node-1", "otel.scope.name": "app", "otel.scope.version": "1", "key.0": "value"},
    }


def test_empty_fields_are_left_out() -> None:
    """A bare span has ids and a service, for OpenTelemetry has a default for that."""
    data = make_request(ResourceSpans(scope_spans=[ScopeSpans(spans=[Span(trace_id=b"\1" * 16, span_id=b"\2" * 8)])]))
    assert json.loads(convert_request(data).data) == [
        {"traceId": "01" * 16, "id": "02" * 8, "localEndpoint": {"serviceName": "unknown_service"}}
    ]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(0, None), (1, None), (2, "SERVER"), (3, "CLIENT"), (4, "PRODUCER"), (5, "CONSUMER"), (9, None)],
)
def test_kinds(kind: int, expected: str | None) -> None:
    """INTERNAL is no kind to Zipkin, and neither is one that nobody knows."""
    assert convert(make_span(kind=kind)).get("kind") == expected


@pytest.mark.parametrize(
    ("start_ns", "end_ns", "expected"),
    [
        (5_000, 6_234, {"timestamp": 5, "duration": 1}),
        (5_999, 5_999, {"timestamp": 5, "duration": 1}),
        (5_000, 4_000, {"timestamp": 5}),
        (5_000, 0, {"timestamp": 5}),
        (0, 3_000, {"duration": 3}),
        (2**64 - 1, 2**64 - 1, {"timestamp": 18446744073709551, "duration": 1}),
    ],
)
def test_times_are_whole_microseconds(start_ns: int, end_ns: int, expected: dict[str, int]) -> None:
    """Cut down, no shorter than one; what is no time is left out."""
    converted = convert(make_span(start_ns=start_ns, end_ns=end_ns))
    assert {key: converted[key] for key in ("timestamp", "duration") if key in converted} == expected


def test_trace_id_of_64_bits_is_written_as_such() -> None:
    """A network span has it so too."""
    assert convert(make_span(trace_id=bytes(8) + b"\xab" * 8))["traceId"] == "abababababababab"


VALUES = [
    (AnyValue(string_value="ü"), "ü"),
    (AnyValue(bool_value=True), "true"),
    (AnyValue(int_value=-(2**63)), "-9223372036854775808"),
    (AnyValue(double_value=1.5), "1.5"),
    (AnyValue(double_value=float("nan")), "NaN"),
    (AnyValue(double_value=float("-inf")), "-Infinity"),
    (AnyValue(bytes_value=b"\xfb\xff"), "+/8="),
    (AnyValue(), ""),
    (
        AnyValue(
            array_value=ArrayValue(
                values=[
                    AnyValue(string_value='"'),
                    AnyValue(int_value=1),
                    AnyValue(),
                    AnyValue(double_value=float("inf")),
                ]
            )
        ),
        '["\\"",1,null,"Infinity"]',
    ),
    (
        AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key="a", value=AnyValue(bytes_value=b"a"))])),
        '{"a":"YQ=="}',
    ),
]


@pytest.mark.parametrize(("value", "text"), VALUES, ids=[text for _, text in VALUES])
def test_values_are_texts(value: AnyValue, text: str) -> None:
    """Strings as they are, all else as in JSON."""
    span = make_span(attributes=0)
    span.attributes.append(KeyValue(key="k", value=value))
    assert convert(span)["tags"]["k"] == text


def test_error_is_a_tag_with_the_description() -> None:
    """OpenTelemetry's mapping asks for it even where it is empty, for Zipkin then shows the span as failed."""
    failed = make_span(attributes=0)
    failed.status.code = Status.STATUS_CODE_ERROR
    assert convert(failed)["tags"].items() >= {"otel.status_code": "ERROR", "error": ""}.items()
    failed.status.message = "timeout"
    expected = {"otel.status_code": "ERROR", "error": "timeout", "otel.status_description": "timeout"}
    assert convert(failed)["tags"].items() >= expected.items()


def test_span_that_did_not_fail_has_no_error_tag() -> None:
    """An unset status is not told; `error` with the value false would look failed, so it goes."""
    fine = make_span(attributes=0)
    fine.attributes.append(KeyValue(key="error", value=AnyValue(bool_value=False)))
    assert not convert(fine)["tags"].keys() & {"error", "otel.status_code", "otel.status_description"}
    fine.status.code = Status.STATUS_CODE_OK
    assert convert(fine)["tags"]["otel.status_code"] == "OK"


def test_events_are_annotations() -> None:
    """The name alone, or the name in quotes with its attributes; a name that looks so is written so."""
    span = make_span()
    span.events.add(time_unix_nano=5_999, name="plain")
    event = span.events.add(time_unix_nano=7_000, name='with "attributes"', dropped_attributes_count=2)
    event.attributes.append(KeyValue(key="n", value=AnyValue(int_value=1)))
    span.events.add(name='"a":{}')
    span.events.add(name="a|{}|0")
    assert convert(span)["annotations"] == [
        {"timestamp": 5, "value": "plain"},
        {"timestamp": 7, "value": '"with \\"attributes\\"":{"n":1,"otel.dropped_attributes_count":2}'},
        {"timestamp": 0, "value": '"\\"a\\":{}":{}'},
        {"timestamp": 0, "value": '"a|{}|0":{}'},
    ]


def test_what_has_no_field_is_a_tag() -> None:
    """Trace state and links as the Collector writes them, counts of what was dropped as the specification does."""
    span = make_span(attributes=0)
    span.trace_state = "a=b"
    span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count = 1, 2, 3
    link = span.links.add(trace_id=b"\1" * 16, span_id=b"\2" * 8, trace_state="c=d", dropped_attributes_count=4)
    link.attributes.extend(make_attributes({"k": "v|"}))
    tags = convert(span)["tags"]
    assert (
        tags.items()
        >= {
            "w3c.tracestate": "a=b",
            "otel.dropped_attributes_count": "1",
            "otel.dropped_events_count": "2",
            "otel.dropped_links_count": "3",
            "otlp.link.0": f'{"01" * 16}|{"02" * 8}|c=d|{{"k":"v|"}}|4',
        }.items()
    )


def test_attribute_of_the_span_goes_before_the_resources() -> None:
    """Zipkin has one set of tags."""
    span = make_span(attributes=0)
    span.attributes.extend(make_attributes({"host.name": "other"}))
    assert convert(span)["tags"]["host.name"] == "other"


@pytest.mark.parametrize("ids", [(b"", SPAN_ID), (bytes(16), SPAN_ID), (TRACE_ID, bytes(8)), (TRACE_ID, b"\1" * 7)])
def test_span_that_zipkin_cannot_hold_is_left_out_and_counted(ids: tuple[bytes, bytes]) -> None:
    """It would cost all others with it."""
    conversion = convert_request(make_request(make_resource_spans([make_span(*ids), make_span()])))
    assert (conversion.span_count, conversion.left_out) == (1, 1)
    assert [span["id"] for span in json.loads(conversion.data)] == [SPAN_ID.hex()]


def test_empty_request_is_an_empty_array() -> None:
    """Lawful, both."""
    assert convert_request(b"").data == b"[]"


@settings(max_examples=200, deadline=None)
@given(JSON_REQUESTS)
def test_no_lawful_request_is_refused(document: dict[str, Any]) -> None:
    """Whatever values, kinds, events and links it has, the outcome is an array that the walk takes."""
    data = read_otlp_json(json.dumps(document).encode())
    conversion = convert_request(data)
    assert walk_zipkin(conversion.data).span_count == conversion.span_count
    count = sum(
        len(s.spans) for r in ExportTraceServiceRequest.FromString(data).resource_spans for s in r.scope_spans
    )
    assert conversion.span_count + conversion.left_out == count


@pytest.mark.parametrize("seed", range(3))
def test_damaged_requests_are_converted_or_refused(seed: int) -> None:
    """Nothing but the documented error gets out."""
    sample = make_request(make_resource_spans([make_span(), make_span()]), make_resource_spans([make_span(kind=2)]))
    taken = [answers_or_refuses(convert_request, data) for data in mutate([sample], seed, 1000)]
    assert 0 < sum(taken) < len(taken)


def test_what_is_no_request_is_refused() -> None:
    """The one documented error."""
    with pytest.raises(WireError):
        convert_request(b"[]")
