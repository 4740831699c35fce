"""OTLP to Zipkin and back: what survives, what is lost, and that the walks find the same parents on both sides."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from collector_plugin.otlp_to_zipkin import convert_request
from collector_plugin.otlp_walk import walk_request
from collector_plugin.service_name import read_service_name
from collector_plugin.zipkin_to_otlp import convert_to_otlp
from collector_plugin.zipkin_values import from_plain
from collector_plugin.zipkin_walk import walk_zipkin
from hopspan.protowire import WireError
from tests.collector_plugin.builders import list_spans, make_attributes, make_request, read_attributes
from tests.collector_plugin.otlp_requests import REQUESTS
from tests.collector_plugin.zipkin_arrays import SPANS as ZIPKIN_SPANS


@settings(max_examples=200)
@given(REQUESTS)
def test_parents_are_the_same_before_and_after(data: bytes) -> None:
    """The walk over Zipkin's JSON finds the spans that the walk over OTLP finds, to the microsecond."""
    expected = {
        (read_service_name(group.resource), key)
        for group in walk_request(data).application
        for key, _, start_ns, end_ns in group.spans
        if 1_000 <= start_ns <= end_ns < 2**64 - 2_000
    }
    walked = walk_zipkin(convert_request(data).data)
    found = {(read_service_name(group.resource), key) for group in walked.application for key, *_ in group.spans}
    assert expected <= found


@settings(max_examples=200)
@given(st.lists(ZIPKIN_SPANS, max_size=5))
def test_network_spans_lie_on_the_resource_of_their_parents(spans: list[dict[str, Any]]) -> None:
    """Walked before or after, the parents and their resources are the same, byte for byte."""
    data = json.dumps(spans).encode()
    try:
        before = walk_zipkin(data)
    except WireError:
        with pytest.raises(WireError):
            convert_to_otlp(data)
        return
    after = walk_request(convert_to_otlp(data))
    assert after.span_count == before.span_count
    parents = {(group.resource, key) for group in after.application for key, *_ in group.spans}
    assert {(group.resource, key) for group in before.application for key, *_ in group.spans} <= parents


# What survives OTLP -> Zipkin -> OTLP: microseconds, small letters in the service, texts as attributes.
TEXT = st.text(max_size=4)
PLAIN = st.recursive(
    TEXT
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.none(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
KEYS = st.text("abc", min_size=1, max_size=3)
ATTRIBUTES = st.dictionaries(KEYS, PLAIN, max_size=2).map(
    lambda plain: [KeyValue(key=key, value=from_plain(value)) for key, value in plain.items()]
)
TEXTS = st.dictionaries(KEYS, TEXT, max_size=3).map(
    lambda plain: [KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in plain.items()]
)
COUNTS = st.integers(0, 2**32 - 1)
TIMES = st.integers(1, 2**53).map(lambda us: us * 1_000)
TRACE_IDS, SPAN_IDS = st.binary(min_size=16, max_size=16).filter(any), st.binary(min_size=8, max_size=8).filter(any)
STATES = st.text("abc=,|", max_size=5)
SPANS = st.builds(
    lambda start_ns, us, **fields: Span(
        start_time_unix_nano=start_ns, end_time_unix_nano=start_ns + us * 1_000, **fields
    ),
    TIMES,
    st.integers(1, 10**9),
    trace_id=TRACE_IDS,
    span_id=SPAN_IDS,
    parent_span_id=st.just(b"") | st.just(b"\xee" * 8),
    name=TEXT,
    kind=st.integers(1, 5),
    trace_state=STATES,
    attributes=TEXTS,
    events=st.lists(
        st.builds(
            Span.Event, time_unix_nano=TIMES, name=TEXT, attributes=ATTRIBUTES, dropped_attributes_count=COUNTS
        ),
        max_size=2,
    ),
    links=st.lists(
        st.builds(
            Span.Link,
            trace_id=TRACE_IDS,
            span_id=SPAN_IDS,
            trace_state=STATES,
            attributes=ATTRIBUTES,
            dropped_attributes_count=COUNTS,
        ),
        max_size=2,
    ),
    dropped_attributes_count=COUNTS,
    dropped_events_count=COUNTS,
    dropped_links_count=COUNTS,
    status=st.none() | st.builds(lambda text: {"code": 2, "message": text}, TEXT) | st.just({"code": 1}),
)
SCOPE_SPANS = st.builds(
    lambda name, version, spans: ScopeSpans(scope=InstrumentationScope(name=name, version=version), spans=spans),
    TEXT.filter(bool), TEXT, st.lists(SPANS, min_size=1, max_size=2),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(SCOPE_SPANS)
def test_what_survives_the_way_there_and_back(scope_spans: ScopeSpans) -> None:
    """Ids, names, kinds, microseconds, texts, status, events and links with their attributes, states and counts."""
    resource = Resource(attributes=make_attributes({"service.name": "frontend"}))
    group = ResourceSpans(resource=resource, scope_spans=[scope_spans])
    (back,) = ExportTraceServiceRequest.FromString(
        convert_to_otlp(convert_request(make_request(group)).data)
    ).resource_spans
    for span in (span for whole in (group, back) for scope in whole.scope_spans for span in scope.spans):
        sort_fields(span)
    assert back == group


def sort_fields(span: Span) -> None:
    """Put attributes in order: tags have none."""
    span.attributes.sort(key=lambda pair: pair.key)


def test_what_is_lost_on_the_way_there_and_back() -> None:
    """As docs/zipkin.md says: what is below a microsecond, flags, the kinds of values, and whose an attribute was."""
    span = Span(
        trace_id=b"\1" * 16, span_id=b"\2" * 8, name="n", start_time_unix_nano=1_999, end_time_unix_nano=3_000,
        flags=0x101, attributes=[KeyValue(key="n", value=AnyValue(int_value=1))],
    )  # fmt: skip
    resource = Resource(attributes=make_attributes({"service.name": "Frontend", "host.name": "h"}))
    group = ResourceSpans(resource=resource, scope_spans=[ScopeSpans(spans=[span], schema_url="u")], schema_url="u")
    data = convert_to_otlp(convert_request(make_request(group)).data)
    (back,) = list_spans([data])
    assert (back.start_time_unix_nano, back.end_time_unix_nano) == (1_000, 2_000)
    assert (back.flags, back.kind, read_attributes(back)) == (
        0,
        Span.SPAN_KIND_INTERNAL,
        {"host.name": "h", "n": "1"},
    )
    (again,) = ExportTraceServiceRequest.FromString(data).resource_spans
    assert [pair.value.string_value for pair in again.resource.attributes] == ["frontend"]
    assert (again.schema_url, again.scope_spans[0].schema_url) == ("", "")
