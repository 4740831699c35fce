"""The walk over OTLP's wire bytes: what is passed on as it came, and what is taken out."""

import pytest
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from collector_plugin import otlp_walk
from collector_plugin.otlp_walk import TooManySpansError, Walk, walk_request
from collector_plugin.parent_schema import ParsedScopeSpans
from hopspan.protowire import WireError, write_length
from node_probe.wire_batch import decode_batch
from tests.collector_plugin.builders import make_request, make_resource_spans, make_span, make_transit
from tests.collector_plugin.otlp_requests import TRANSIT, UNKNOWN, make_transits, reorder_deeply


def test_resource_is_kept_byte_for_byte() -> None:
    """The fields `resource` and `schema_url` of a ResourceSpans stand ready for another one, unknown fields too."""
    message = make_resource_spans([make_span()])
    resource = message.resource.SerializeToString() + UNKNOWN
    fields = write_length(1, resource) + write_length(3, message.schema_url.encode())
    data = write_length(1, resource) + write_length(2, message.scope_spans[0].SerializeToString())
    (group,) = walk_request(write_length(1, data + write_length(3, message.schema_url.encode()))).application
    assert group.resource == fields


def test_request_of_transits_alone_leaves_nothing_to_forward() -> None:
    """What the probe sends is taken out whole."""
    walk = walk_request(make_request(make_transits(TRANSIT, make_transit({5: 1}))))
    assert (walk.forward, walk.span_count, walk.application) == (b"", 0, [])
    (part,) = walk.transits
    assert part.count == 2
    assert decode_batch(part.resource_spans).transits == (TRANSIT, make_transit({5: 1}))


@pytest.mark.parametrize("is_descending", [False, True])
def test_transits_are_taken_out_of_a_mixed_request(is_descending: bool) -> None:  # noqa: FBT001 - a table's column
    """Application ResourceSpans keep their bytes, their order, and what a later version put beside them."""
    first, second = make_resource_spans([make_span()]), make_resource_spans([make_span()], service="cart")
    data = make_request(make_transits(TRANSIT), first, make_transits(TRANSIT), second)
    kept = make_request(first, second)
    if is_descending:
        data, kept = reorder_deeply(data, 3, None), reorder_deeply(kept, 3, None)
    walk = walk_request(data + UNKNOWN)
    assert walk.forward == kept + UNKNOWN
    assert walk.span_count == 2
    assert [decode_batch(part.resource_spans).transits for part in walk.transits] == [(TRANSIT,), (TRANSIT,)]


def test_transits_are_taken_out_of_a_mixed_resource() -> None:
    """Where one ResourceSpans has transits and other spans, the others stay, with all that stands around them."""
    message = make_transits(TRANSIT)
    message.scope_spans.append(ScopeSpans(spans=[make_span()]))
    data = message.SerializeToString() + UNKNOWN
    walk = walk_request(write_length(1, data))
    expected = make_transits(TRANSIT)
    del expected.scope_spans[0]
    expected.scope_spans.append(ScopeSpans(spans=[make_span()]))
    (rest,) = ExportTraceServiceRequest.FromString(walk.forward).resource_spans
    assert (
        rest.SerializeToString()
        == ResourceSpans.FromString(expected.SerializeToString() + UNKNOWN).SerializeToString()
    )
    assert walk.span_count == 1
    assert [key for key, *_ in walk.application[0].spans] == [make_span().trace_id + make_span().span_id]
    assert decode_batch(walk.transits[0].resource_spans).transits == (TRANSIT,)


def test_span_of_the_probes_scope_without_record_is_no_transit() -> None:
    """Only scope and attribute together make a transit; such a span is passed on, and may be a parent."""
    message = make_transits(TRANSIT)
    message.scope_spans[0].spans.append(make_span())
    walk = walk_request(make_request(message))
    (rest,) = ExportTraceServiceRequest.FromString(walk.forward).resource_spans
    assert list(rest.scope_spans[0].spans) == [make_span()]
    assert rest.scope_spans[0].scope.name == "node_probe"
    assert len(walk.application[0].spans) == 1
    assert decode_batch(walk.transits[0].resource_spans).transits == (TRANSIT,)


def test_broken_attribute_in_the_probes_scope_is_an_error_of_the_request() -> None:
    """Attributes are read there to find transits; what cannot be read is told as of any other request."""
    message = make_transits(TRANSIT)
    span = make_span().SerializeToString() + write_length(9, b"\x0a\x05x")
    scope = message.scope_spans[0].SerializeToString() + write_length(2, span)
    data = write_length(1, write_length(1, message.resource.SerializeToString()) + write_length(2, scope))
    with pytest.raises(WireError):
        walk_request(data)


def test_record_outside_the_probes_scope_is_no_transit() -> None:
    """An application that sets our attribute sends an application span."""
    message = make_transits(TRANSIT)
    message.scope_spans[0].scope.name = "app"
    data = make_request(message)
    walk = walk_request(data)
    assert walk.forward is data
    assert walk.transits == []


def test_own_network_spans_are_passed_on_and_never_parents() -> None:
    """A network span that comes back is no input: no loop can arise."""
    data = make_request(make_resource_spans([make_span()], scope="hopspan"))
    walk = walk_request(data)
    assert walk.forward is data
    assert (walk.span_count, walk.application) == (1, [])


def test_empty_request_holds_nothing() -> None:
    """OTLP's empty request is lawful."""
    assert walk_request(b"") == Walk(b"", 0, [], [])


def test_too_many_spans_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty spans cost two bytes each on the wire and far more in memory, so they are counted first."""
    monkeypatch.setattr(otlp_walk, "MAX_SPANS", 23)
    empty = Span()
    walk_request(make_request(make_resource_spans([empty] * 23)))
    with pytest.raises(TooManySpansError, match="more than 23 spans"):
        walk_request(make_request(make_resource_spans([empty] * 20), make_resource_spans([empty] * 4)))
    with pytest.raises(TooManySpansError):
        walk_request(make_request(make_transits(*[TRANSIT] * 24)))


@pytest.mark.parametrize(
    "data",
    [
        b"\x0a\x00" * 500_000,
        b"\x10\x00" * 500_000,
        write_length(1, b"\x12\x00" * 500_000),
        write_length(1, b"\x0a\x00" * 500_000),
        write_length(1, b"\x10\x00" * 500_000),
        write_length(1, write_length(2, b"\x0a\x00" * 500_000)),
        write_length(1, write_length(2, b"\x18\x00" * 500_000)),
        write_length(1, write_length(2, write_length(1, b"\x0a\x00" * 500_000))),
    ],
    ids=[
        "resource_spans",
        "fields of the request",
        "scope_spans",
        "resources",
        "of ResourceSpans",
        "scopes",
        "of ScopeSpans",
        "names",
    ],
)
def test_flood_of_empty_fields_is_refused(data: bytes) -> None:
    """Whatever takes two bytes and is asked for by the hundred thousand is no trace, on any level."""
    with pytest.raises(TooManySpansError):
        walk_request(data)


@pytest.mark.parametrize("fields", [b"\x50\x00" * 20_000, b"\x4a\x00" * 20_000])
def test_flood_inside_a_span_is_refused_where_the_library_does_not_read_it(
    fields: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what the library refuses is walked, and only so far; what it reads is passed on."""

    def refuse(*_: object) -> ParsedScopeSpans:
        raise DecodeError

    span = make_span().SerializeToString() + fields
    data = write_length(1, write_length(2, write_length(2, span)))
    assert walk_request(data).forward is data
    monkeypatch.setattr(otlp_walk, "parse_scope_spans", refuse)
    with pytest.raises(WireError, match="more than 10000 fields"):
        walk_request(data)


def test_text_that_is_not_utf_8_passes() -> None:
    """Some SDKs write any bytes, and some backends take them: that is not ours to refuse."""
    span = make_span().SerializeToString() + write_length(5, b"\xff\xfe")
    data = write_length(1, write_length(2, write_length(2, span) + write_length(2, make_span().SerializeToString())))
    walk = walk_request(data)
    assert walk.forward is data
    assert len(walk.application[0].spans) == 2
