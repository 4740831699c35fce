"""Zipkin's JSON as OTLP: one rule a test, there and back again, and any array that the walk takes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

from collector_plugin.otlp_walk import walk_request
from collector_plugin.zipkin_to_otlp import MAX_TAGS, convert_to_otlp
from collector_plugin.zipkin_values import from_plain
from hopspan.protowire import WireError
from tests.collector_plugin.builders import make_attributes, read_attributes
from tests.collector_plugin.mutations import answers_or_refuses, mutate
from tests.collector_plugin.zipkin_arrays import END_NS, ID, START_NS, TRACE, make


def convert_all(*spans: Any) -> ExportTraceServiceRequest:
    return ExportTraceServiceRequest.FromString(convert_to_otlp(json.dumps(spans).encode()))


def convert(**fields: Any) -> Span:
    """Return the OTLP span of a CLIENT with these fields."""
    ((span,),) = [scope.spans for group in convert_all(make(**fields)).resource_spans for scope in group.scope_spans]
    return span


def test_span_with_all_its_fields() -> None:
    """Ids are bytes, times nanoseconds; tags are attributes, annotations events."""
    span = convert(parentId="1")
    assert (span.trace_id, span.span_id, span.parent_span_id) == (
        bytes.fromhex(TRACE),
        bytes.fromhex(ID),
        b"\0" * 7 + b"\1",
    )
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (START_NS, END_NS)
    assert (span.name, span.kind) == ("get /cart", Span.SPAN_KIND_CLIENT)
    assert list(span.events) == [Span.Event(time_unix_nano=1_000, name="ws")]
    assert read_attributes(span) == {
        "network.local.address": "10.244.1.2",
        "network.local.port": 1,
        "http.path": "/cart",
        "ü": '"}]',
    }
    assert not span.HasField("status")


def test_spans_are_grouped_by_service_and_scope() -> None:
    """The service alone is the resource; the scope's two tags are the scope, by their old names too."""
    request = convert_all(
        make(tags={"otel.scope.name": "app", "otel.scope.version": "1"}),
        make(localEndpoint=None),
        make(tags={"otel.library.name": "app", "otel.library.version": "1", "host.name": "h"}),
        make(),
    )
    first, second = request.resource_spans
    assert first == ResourceSpans(
        resource=Resource(attributes=make_attributes({"service.name": "Frontend"})),
        scope_spans=first.scope_spans,
    )
    named, unnamed = first.scope_spans
    assert (named.scope.name, named.scope.version, len(named.spans)) == ("app", "1", 2)
    assert not unnamed.HasField("scope")
    assert "host.name" in read_attributes(named.spans[1])
    assert not second.HasField("resource")


@pytest.mark.parametrize(
    ("kind", "expected"), [(None, 1), ("SERVER", 2), ("CLIENT", 3), ("PRODUCER", 4), ("CONSUMER", 5), ("LATER", 1)]
)
def test_kinds(kind: str | None, expected: int) -> None:
    """A local span is INTERNAL."""
    assert convert(kind=kind).kind == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"timestamp": None, "duration": 5}, (0, 5_000)),
        ({"timestamp": 7, "duration": None}, (7_000, 7_000)),
        ({"timestamp": "7", "duration": 5.0}, (7_000, 12_000)),
        ({"timestamp": -1, "duration": -1}, (0, 0)),
        ({"timestamp": 2**64}, (0, 40_000)),
        ({"timestamp": 18446744073709551, "duration": 1}, (18446744073709551000, 18446744073709551000)),
    ],
)
def test_times(fields: dict[str, Any], expected: tuple[int, int]) -> None:
    """What is absent is zero, and no time leaves its 64 bits."""
    span = convert(**fields)
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == expected


@pytest.mark.parametrize("parent_id", [None, "0", "0" * 16, ID, ID.upper()])
def test_span_without_parent(parent_id: str | None) -> None:
    """Zeros are none, and no span is its own."""
    assert convert(parentId=parent_id).parent_span_id == b""


@pytest.mark.parametrize(
    ("tags", "status", "left"),
    [
        ({"error": "true"}, (2, ""), {}),
        ({"error": ""}, (2, ""), {}),
        ({"error": "500"}, (2, "500"), {}),
        ({"error": "false"}, None, {"error": "false"}),
        ({"otel.status_code": "OK"}, (1, ""), {}),
        ({"otel.status_code": "STATUS_CODE_OK", "error": "x"}, (1, ""), {"error": "x"}),
        ({"otel.status_code": "ERROR", "error": "a", "otel.status_description": "b"}, (2, "b"), {"error": "a"}),
        ({"otel.status_code": "STATUS_CODE_ERROR", "otel.status_description": "b"}, (2, "b"), {}),
        ({"otel.status_code": "UNSET", "otel.status_description": "b"}, None, None),
    ],
    ids=str,
)
def test_status(tags: dict[str, str], status: tuple[int, str] | None, left: dict[str, str] | None) -> None:
    """Any span with the tag `error` failed; the tag's text is the message, and what says more stays."""
    span = convert(tags=tags, localEndpoint=None)
    assert span.HasField("status") == (status is not None)
    assert (span.status.code, span.status.message) == (status or (0, ""))
    assert read_attributes(span) == (tags if left is None else left)


def test_remote_endpoint_is_told_by_attributes() -> None:
    """Unless a tag says it explicitly."""
    remote = {"serviceName": "cart", "ipv4": "10.96.0.10", "ipv6": "fd00::1", "port": 80}
    span = convert(remoteEndpoint=remote, localEndpoint=None, tags={"peer.service": "mine"})
    assert read_attributes(span) == {
        "peer.service": "mine",
        "network.peer.address": "10.96.0.10",
        "network.peer.port": 80,
    }


@pytest.mark.parametrize(
    ("value", "name", "attributes", "dropped"),
    [
        ('"e":{"a":1,"b":[true,null,1.5],"c":{}}', "e", {"a": 1, "b": [True, None, 1.5], "c": {}}, 0),
        ('"e": {"otel.dropped_attributes_count":3}', "e", {}, 3),
        ('e|{"a":"x|y"}|3', "e", {"a": "x|y"}, 3),
        ("e|{}|0", "e", {}, 0),
        ("e|not json|0", "e|not json|0", {}, 0),
        ("e|{}|x", "e|{}|x", {}, 0),
        ('"e":{"a":', '"e":{"a":', {}, 0),
        ('"e":{},"f":{}', '"e":{},"f":{}', {}, 0),
        ('"e":5}', '"e":5}', {}, 0),
        (f'"e":{{"a":{"[" * 40}{"]" * 40}}}', f'"e":{{"a":{"[" * 40}{"]" * 40}}}', {}, 0),
        (f'"e":{{"a":{"[" * 9999}{"]" * 9999}}}', f'"e":{{"a":{"[" * 9999}{"]" * 9999}}}', {}, 0),
        (f'"e":{{"a":{10**30}}}', "e", {"a": str(10**30)}, 0),
        ("", "", {}, 0),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_annotations_with_attributes(value: str, name: str, attributes: dict[str, Any], dropped: int) -> None:
    """Both forms are read, and what is in neither is a name, whatever it looks like."""
    (event,) = convert(annotations=[{"timestamp": 5, "value": value}]).events
    pairs = [KeyValue(key=key, value=from_plain(item)) for key, item in attributes.items()]
    assert event == Span.Event(time_unix_nano=5_000, name=name, attributes=pairs, dropped_attributes_count=dropped)


def test_links_that_are_none_stay_tags() -> None:
    """The tags are read from 0 on, up to the first that is no link."""
    good = f"{TRACE}|{ID}|a=b|{{}}|0"
    span = convert(tags={"otlp.link.0": good, "otlp.link.1": "no link", "otlp.link.2": good}, localEndpoint=None)
    (link,) = span.links
    assert link == Span.Link(trace_id=bytes.fromhex(TRACE), span_id=bytes.fromhex(ID), trace_state="a=b")
    assert read_attributes(span).keys() == {"otlp.link.1", "otlp.link.2"}


@pytest.mark.parametrize(
    "value", ["", "a|b|c", f"{TRACE}|{ID}|a=b|{{|0", f"{TRACE}|{ID}||{{}}|-1", f"zz|{ID}||{{}}|0", f"ab|{ID}||{{}}|0"]
)
def test_what_is_no_link(value: str) -> None:
    """Parts missing, ids that are none, a count that is none."""
    span = convert(tags={"otlp.link.0": value})
    assert not span.links
    assert read_attributes(span)["otlp.link.0"] == value


def test_writers_that_do_not_keep_to_the_format() -> None:
    """Numbers and truth values as tags are texts as a server reads them; what is null is not there."""
    span = convert(tags={"a": 5, "b": True, "c": None, "d": 1.5}, annotations=[{"timestamp": "5", "value": 7}, {}])
    attributes = read_attributes(span)
    assert (attributes["a"], attributes["b"], attributes["d"], "c" in attributes) == ("5", "true", "1.5", False)
    assert [(event.time_unix_nano, event.name) for event in span.events] == [(5_000, "7"), (0, "")]


@pytest.mark.parametrize(
    "fields",
    [
        {"name": 5}, {"annotations": {}}, {"annotations": [5]}, {"tags": []}, {"tags": {"a": {}}}, {"parentId": "x"},
        {"parentId": "1" * 17}, {"localEndpoint": {"port": "x"}}, {"localEndpoint": 5}, {"traceId": "0"},
        {"annotations": [{"timestamp": "x"}]},
    ],
    ids=str,
)  # fmt: skip
def test_fields_of_the_wrong_kind_are_refused(fields: dict[str, Any]) -> None:
    """The walk passes what it does not need; here it is needed, and the error names the span."""
    with pytest.raises(WireError, match=r"\$\[1\]"):
        convert_all(make(), make(**fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"tags": {str(number): "" for number in range(MAX_TAGS + 1)}},
        {"annotations": [{}] * (MAX_TAGS + 1)},
    ],
    ids=["tags", "annotations"],
)
def test_flood_inside_a_span_is_refused(fields: dict[str, Any]) -> None:
    """A few bytes of it become hundreds of memory, and no SDK has a hundredth of so many."""
    with pytest.raises(WireError, match=r"\$\[0\]"):
        convert(**fields)
    assert convert_all(*[make(annotations=[{}] * (MAX_TAGS // 2))] * 3).resource_spans


def test_nothing_is_an_empty_request() -> None:
    """As an empty array is lawful."""
    assert convert_to_otlp(b"[]") == convert_to_otlp(b"") == b""


SAMPLES = [
    json.dumps(
        [make(remoteEndpoint={"serviceName": "a"}), make(annotations=[{"timestamp": 1, "value": 'e|{"a":1}|0'}])]
    ).encode(),
    json.dumps([make(tags={"otlp.link.0": f"{TRACE}|{ID}||{{}}|0", "error": "x"}, timestamp="5")]).encode(),
]


@pytest.mark.parametrize("seed", range(4))
def test_damaged_arrays_are_converted_or_refused(seed: int) -> None:
    """Nothing but the documented error gets out, and what comes out is a request."""
    taken = 0
    for data in mutate(SAMPLES, seed, 1000):
        if answers_or_refuses(convert_to_otlp, data):
            walk_request(convert_to_otlp(data))
            taken += 1
    assert 0 < taken < 1000


@given(st.binary(max_size=60))
def test_garbage_is_refused(data: bytes) -> None:
    """Random bytes are no array, but for those that are."""
    if answers_or_refuses(convert_to_otlp, data):
        assert data == b"" or json.loads(data) == []
