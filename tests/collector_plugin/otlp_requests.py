"""OTLP requests for the tests of the walk: generated, with fields in any order, and as the library reads them."""

import random

from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

from collector_plugin.otlp_walk import Walk
from collector_plugin.packed_spans import MAX_KIND
from hopspan.protowire import LENGTH, read_fields, write_integer, write_length
from node_probe.transit import Transit
from tests.collector_plugin.builders import (
    NODE_1,
    make_decoded_batch,
    make_request,
    make_resource_spans,
    make_span,
    make_transit,
)
from tests.node_probe.batch_reference import encode_batch

UNKNOWN = write_length(2000, b"from a later version") + write_integer(1999, 7)

TRANSIT = make_transit({2: 0, 3: 5, 4: 9})


def make_transits(*transits: Transit) -> ResourceSpans:
    """Return the ResourceSpans that a probe sends."""
    request = ExportTraceServiceRequest.FromString(encode_batch(make_decoded_batch(NODE_1, *transits), "1"))
    return request.resource_spans[0]


def reorder(data: bytes, order: random.Random | None) -> bytes:
    """Return the message with its fields in another order, descending where `order` is None."""
    fields = [
        (number, start, value, end, wire) for number, wire, start, value, end in read_fields(data, 0, len(data))
    ]
    if order is None:
        fields.sort(key=lambda field: -field[0])
    else:
        order.shuffle(fields)
    return b"".join(data[start:end] for _, start, _, end, _ in fields)


def reorder_deeply(data: bytes, levels: int, order: random.Random | None) -> bytes:
    """Return a request with the fields of its requests, ResourceSpans, ScopeSpans and Spans in another order."""
    if levels == 0:
        return reorder(data, order)
    parts = []
    for number, wire_type, start, value_start, value_end in read_fields(data, 0, len(data)):
        # Down the branch that leads to spans: resource_spans 1, then scope_spans 2, then spans 2.
        if wire_type == LENGTH and number == (1 if levels == 3 else 2):
            parts.append(write_length(number, reorder_deeply(data[value_start:value_end], levels - 1, order)))
        else:
            parts.append(data[start:value_end])
    return reorder(b"".join(parts), order)


def list_by_protobuf(data: bytes) -> list[list[tuple[bytes, int, int, int]]]:
    """Return what the library finds of possible parents, by ResourceSpans."""
    found = []
    for resource_spans in ExportTraceServiceRequest.FromString(data).resource_spans:
        spans = [
            (
                span.trace_id + span.span_id,
                span.kind if 0 <= span.kind <= MAX_KIND else 0,
                span.start_time_unix_nano,
                span.end_time_unix_nano,
            )
            for scope_spans in resource_spans.scope_spans
            if scope_spans.scope.name != "hopspan"
            for span in scope_spans.spans
            if (len(span.trace_id), len(span.span_id)) == (16, 8) and any(span.trace_id) and any(span.span_id)
        ]
        if spans:
            found.append(spans)
    return found


def list_by_walk(walk: Walk) -> list[list[tuple[bytes, int, int, int]]]:
    """Return the same of the walk."""
    return [list(group.spans) for group in walk.application]


IDS_16 = st.sampled_from([b"", b"\1" * 15, bytes(16), b"\1" * 16, b"\2" * 16, b"\3" * 17])
IDS_8 = st.sampled_from([b"", b"\1" * 7, bytes(8), b"\1" * 8, b"\2" * 8, b"\3" * 9])
SPANS = st.builds(
    Span,
    trace_id=IDS_16,
    span_id=IDS_8,
    parent_span_id=IDS_8,
    name=st.text(max_size=5) | st.just("n" * 300),
    trace_state=st.text(max_size=3),
    kind=st.integers(0, 5),
    start_time_unix_nano=st.integers(0, 2**64 - 1),
    end_time_unix_nano=st.integers(0, 2**64 - 1),
    dropped_attributes_count=st.integers(0, 300),
    flags=st.integers(0, 2**32 - 1),
    attributes=st.lists(st.builds(lambda: make_span().attributes[0]), max_size=3),
)
RESOURCE_SPANS = st.builds(
    make_resource_spans,
    st.lists(SPANS, max_size=4),
    service=st.sampled_from(["a", "b" * 200]),
    scope=st.sampled_from(["app", "hopspan", "", "node_probe"]),
)
REQUESTS = st.builds(lambda parts: make_request(*parts), st.lists(RESOURCE_SPANS, max_size=4))
ORDERS = st.none() | st.builds(random.Random, st.integers(0, 10**6))
