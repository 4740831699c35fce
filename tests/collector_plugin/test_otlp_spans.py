"""Network spans as OTLP bytes, against the protobuf library."""

import msgspec
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector_plugin import otlp_spans
from collector_plugin.network_span import Attributes, AttributeValue, Emission, NetworkSpan, SpanEvent
from collector_plugin.otlp_spans import MAX_REQUEST_BYTES, encode_emissions, encode_span
from collector_plugin.otlp_walk import walk_request
from tests.collector_plugin.builders import make_request, make_resource_spans, make_span

ATTRIBUTES: tuple[tuple[str, AttributeValue], ...] = (
    ("hopspan.node", "node-1 ü"),
    ("hopspan.offset", -(2**62)),
    ("hopspan.attempt", 1),
    ("hopspan.clipped", True),
    ("hopspan.missed", ("a", "b")),
)


def make_network_span(number: int = 1, padding: int = 0) -> NetworkSpan:
    """Return a span with one attribute of each type."""
    padded = (*ATTRIBUTES, ("padding", "x" * padding)) if padding else ATTRIBUTES
    groups = (Attributes(*padded[:2]), Attributes(), Attributes(*padded[2:]))
    return NetworkSpan(
        b"t" * 16, b"p" * 8, number.to_bytes(8, "big"), 1, "underlay", 10**18, 10**18 + 5, 2**62, groups
    )


def read_resource(service: str) -> bytes:
    """Return the resource of an application's ResourceSpans, as the walk hands it over."""
    return walk_request(make_request(make_resource_spans([make_span()], service=service))).application[0].resource


def test_bytes_are_those_of_the_library() -> None:
    """Written field by field, a span has the bytes that the library would give it."""
    data = encode_span(make_network_span())
    span = Span.FromString(data)
    assert span.SerializeToString(deterministic=True) == data
    assert (span.kind, span.flags, span.name) == (Span.SPAN_KIND_INTERNAL, 1, "underlay")
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (10**18, 10**18 + 5)
    kinds = [item.value.WhichOneof("value") for item in span.attributes]
    assert kinds == ["string_value", "int_value", "int_value", "int_value", "bool_value", "array_value"]
    assert [value.string_value for value in span.attributes[5].value.array_value.values] == ["a", "b"]


def test_spans_lie_on_their_parents_resource() -> None:
    """Each parent's resource stands once, byte for byte, with the scope of ours."""
    frontend, cart = read_resource("frontend"), read_resource("cart")
    emissions = [
        Emission(frontend, (make_network_span(1),)),
        Emission(cart, (make_network_span(2),)),
        Emission(frontend, (make_network_span(3),)),
    ]
    (request,) = encode_emissions(emissions, "1.2.3")
    assert request.span_count == 3
    first, second = ExportTraceServiceRequest.FromString(request.data).resource_spans
    original = make_resource_spans([])
    assert (first.resource, first.schema_url) == (original.resource, original.schema_url)
    assert [span.span_id[-1] for span in first.scope_spans[0].spans] == [1, 3]
    assert [span.span_id[-1] for span in second.scope_spans[0].spans] == [2]
    assert (first.scope_spans[0].scope.name, first.scope_spans[0].scope.version) == ("hopspan", "1.2.3")
    assert frontend in request.data


def test_nothing_to_send_is_no_request() -> None:
    """No emission, no request."""
    assert encode_emissions([], "1") == []


@pytest.mark.parametrize("resources", [1, 40])
def test_requests_stay_below_the_limit(resources: int) -> None:
    """Many spans become several requests, whether on one resource or on many; none is lost."""
    emissions = [
        Emission(read_resource(f"s{n % resources}"), (make_network_span(n, padding=20_000),)) for n in range(1, 501)
    ]
    requests = encode_emissions(emissions, "1")
    assert len(requests) >= 3
    assert max(len(request.data) for request in requests) <= MAX_REQUEST_BYTES + 1000
    walks = [walk_request(request.data) for request in requests]
    assert [walk.span_count for walk in walks] == [request.span_count for request in requests]
    assert sum(walk.span_count for walk in walks) == 500


def test_attributes_of_equal_value_and_other_type_are_kept_apart() -> None:
    """1 and True are equal to Python and not to OTLP."""
    otlp_spans.encode_span(make_network_span())
    span = NetworkSpan(
        b"t" * 16, b"p" * 8, b"s" * 8, 0, "n", 1, 2, 3, (Attributes(("k", 1), ("k2", True), ("k3", "1")),)
    )
    kinds = [item.value.WhichOneof("value") for item in Span.FromString(encode_span(span)).attributes]
    assert kinds == ["int_value", "bool_value", "string_value", "int_value"]


@pytest.mark.parametrize("duration_ns", [0, 1, 127, 128, 16_383, 16_384, 10**9, 2**63 - 1, -1, -(2**63)])
def test_duration_stands_behind_the_first_group(duration_ns: int) -> None:
    """Whatever its size: it is written apart from the rest, which other spans share."""
    span = msgspec.structs.replace(make_network_span(), duration_ns=duration_ns)
    data = encode_span(span)
    decoded = Span.FromString(data)
    assert decoded.SerializeToString(deterministic=True) == data
    assert [item.key for item in decoded.attributes] == [key for key, _ in span.attributes]
    assert decoded.attributes[2].key == "hopspan.duration_ns"
    assert decoded.attributes[2].value.int_value == duration_ns


def test_events_hold_their_own_attributes() -> None:
    """A group that a span and an event share is written under the number of each."""
    shared = Attributes(("hopspan.node", "node-1"), ("hopspan.attempt", 5))
    event = SpanEvent("underlay", 10**18 + 3, (shared, Attributes(("k", "v"))))
    span = NetworkSpan(b"t" * 16, b"p" * 8, b"s" * 8, 1, "network", 1, 2, 5, (shared,), (event, event))
    data = encode_span(span)
    decoded = Span.FromString(data)
    assert decoded.SerializeToString(deterministic=True) == data
    assert [item.key for item in decoded.attributes] == ["hopspan.node", "hopspan.attempt", "hopspan.duration_ns"]
    assert [(e.name, e.time_unix_nano) for e in decoded.events] == [("underlay", 10**18 + 3)] * 2
    assert [item.key for item in decoded.events[1].attributes] == ["hopspan.node", "hopspan.attempt", "k"]
    assert encode_span(span) == data
