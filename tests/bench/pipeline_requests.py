"""Makes the requests of the pipeline's load: spans as OTLP or as Zipkin JSON, and the transits of some of them.

Pure. Every request has ids and times of its own, at little cost: a request is written once, and then only the places
where its number and its times stand are filled in.
"""

import json
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

from hopspan.protowire import write_length
from node_probe.transit import Direction, NodeIdentity, Transit
from tests.collector_plugin.builders import (
    EPOCH_NS,
    MS,
    OFFSET_NS,
    US,
    make_attributes,
    make_decoded_batch,
    make_node,
    make_request,
    make_resource_spans,
    make_span,
    make_transit,
)
from tests.node_probe.batch_reference import encode_batch

SPANS = 100
"""In one request; one of them has an exchange of transits."""

ATTRIBUTES, VALUE = 10, "v" * 14
"""Of each span."""

SPANS_PER_TRACE = 5

REQUESTS_PER_BATCH = 25
"""Requests of spans whose transits come in the same batch."""

TRANSITS_PER_EXCHANGE, HOPS_PER_EXCHANGE = 4, 14

SPAN_MARK = b"http.request.header.key0"
"""What each application span has once, in either format: how a sink counts them."""

HOP_MARK = b"hopspan.from"
"""What each network span has once."""

_NUMBER = b"\xe7\x9d\xa3\x5b"
"""Where a request's number is filled in."""

_REST = b"\xb7\xad\x6b\x71\x69\x20\x33\x31"
_SHIFT_NS = 10 * MS
"""Between two batches."""

_START_NS = EPOCH_NS + 7 * US
_END_NS = _START_NS + 40 * MS
_FIXED64 = struct.Struct("<Q")
_NODES = [make_node(f"node-{number}", clock_id=f"boot-{number}") for number in range(10)]

Mould = Callable[[int], bytes]
"""Makes the bytes that have the given number."""


@dataclass(frozen=True)
class Template:
    """A piece of a request, with `_NUMBER` where its number goes, and with its times as they are in batch 0."""

    data: bytes
    times: tuple[int, ...]
    write_time: Callable[[int], bytes]
    write_number: Callable[[bytes], bytes]

    def at(self, shift_ns: int) -> Mould:
        """Return the mould with all times later by `shift_ns`."""
        data = self.data
        for time_ns in self.times:
            data = data.replace(self.write_time(time_ns), self.write_time(time_ns + shift_ns))
        parts = data.split(self.write_number(_NUMBER))
        return lambda number: self.write_number(number.to_bytes(len(_NUMBER), "big")).join(parts)


@dataclass(frozen=True)
class Batch:
    """The transits of some requests, and those requests."""

    before: bytes
    """Transits of the parents' nodes, which reach the plugin before the spans do."""
    spans: Mould
    numbers: Sequence[int]
    """What the mould makes requests of."""
    after: bytes
    """Transits of the other nodes."""


class Traffic:
    """All that a load sends, batch by batch; each differs from all others."""

    def __init__(self, *, zipkin: bool) -> None:
        """Spans are OTLP, or Zipkin JSON; transits are OTLP always."""
        self._spans = make_zipkin_template() if zipkin else make_otlp_template()
        request, response = Direction
        self._near = [
            _make_transit_template({1: 1000, 2: 1003, 3: 1010, 4: 1020}, request),
            _make_transit_template({5: 3120, 6: 3130, 7: 3140, 8: 3150}, response),
        ]
        self._far = [
            _make_transit_template({5: 1120, 6: 1130, 7: 1140, 8: 1150}, request),
            _make_transit_template({1: 3000, 2: 3003, 3: 3010, 4: 3020}, response),
        ]
        self._heads = [_make_head(node) for node in _NODES]

    def make_batch(self, place: int) -> Batch:
        """Return batch number `place`; ids repeat after 170 million batches, and no run has that many."""
        numbers = range(place * REQUESTS_PER_BATCH, (place + 1) * REQUESTS_PER_BATCH)
        shift_ns = place * _SHIFT_NS
        near_head, far_head = (self._heads[(place + step) % len(self._heads)] for step in (0, 1))
        return Batch(
            before=_write_transits(near_head, self._near, shift_ns, numbers),
            spans=self._spans.at(shift_ns),
            numbers=numbers,
            after=_write_transits(far_head, self._far, shift_ns, numbers),
        )


def make_otlp_template(value: str = VALUE) -> Template:
    """Return a request of spans as an ExportTraceServiceRequest; each attribute has the given value."""
    spans = []
    for trace_id, span_id, parent_id in _list_ids():
        span = make_span(trace_id, span_id, start_ns=_START_NS, end_ns=_END_NS, attributes=0)
        span.parent_span_id = parent_id
        span.name = "GET /api/cart"
        span.attributes.extend(make_attributes(_list_attributes(value)))
        spans.append(span)
    data = make_request(make_resource_spans(spans, service="checkout", scope="load"))
    return Template(data, (_START_NS, _END_NS), _FIXED64.pack, bytes)


def make_zipkin_template() -> Template:
    """Return a request of spans as a Zipkin v2 JSON array."""
    spans = [
        {
            "traceId": trace_id.hex(),
            "parentId": parent_id.hex(),
            "id": span_id.hex(),
            "kind": "CLIENT",
            "name": "get /api/cart",
            "timestamp": _START_NS // US,
            "duration": (_END_NS - _START_NS) // US,
            "localEndpoint": {"serviceName": "checkout"},
            "tags": _list_attributes(VALUE),
        }
        for trace_id, span_id, parent_id in _list_ids()
    ]
    data = json.dumps(spans, separators=(",", ":")).encode()
    return Template(data, (_START_NS,), lambda ns: b"%d" % (ns // US), lambda number: number.hex().encode())


def _list_ids() -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield trace id, span id and parent id; the first span is the one that transits name."""
    for place in range(SPANS):
        trace = (place // SPANS_PER_TRACE).to_bytes(4, "big")
        yield (
            _NUMBER + trace + _REST,
            _NUMBER + (place + 1).to_bytes(4, "big"),
            _NUMBER + (place + 1 + SPANS).to_bytes(4, "big"),
        )


def _list_attributes(value: str) -> dict[str, str]:
    return {f"http.request.header.key{place}": value for place in range(ATTRIBUTES)}


def _make_transit_template(points: dict[int, int], direction: Direction) -> Template:
    """Return one span of a node's request, as an element of ScopeSpans (field 2)."""
    trace_id, parent_id, _ = next(_list_ids())
    # The number stands in the record too, so that each message has a sequence number of its own.
    seq = int.from_bytes(_NUMBER, "little")
    transit = make_transit(points, direction=direction, seq=seq, trace_id=trace_id, parent_id=parent_id)
    span = _read_resource_spans(_NODES[0], transit).scope_spans[0].spans[0]
    span.span_id = _NUMBER + struct.pack(">HH", 1 + SPANS + direction, transit.stamps[0].point)
    stamps = tuple(stamp.monotonic_ns for stamp in transit.stamps)
    ends = (stamps[0] + OFFSET_NS, stamps[-1] + OFFSET_NS)
    return Template(write_length(2, span.SerializeToString()), stamps + ends, _FIXED64.pack, bytes)


def _make_head(node: NodeIdentity) -> tuple[bytes, bytes]:
    """Return the resource of a node's requests and the scope of its spans, both as fields."""
    message = _read_resource_spans(node, make_transit(dict.fromkeys(range(1, 9), 0)))
    resource = write_length(1, message.resource.SerializeToString())
    return resource, write_length(1, message.scope_spans[0].scope.SerializeToString())


def _read_resource_spans(node: NodeIdentity, transit: Transit) -> ResourceSpans:
    data = encode_batch(make_decoded_batch(node, transit), "1")
    return ExportTraceServiceRequest.FromString(data).resource_spans[0]


def _write_transits(
    head: tuple[bytes, bytes], templates: Sequence[Template], shift_ns: int, numbers: Sequence[int]
) -> bytes:
    resource, scope = head
    moulds = [template.at(shift_ns) for template in templates]
    spans = b"".join(mould(number) for mould in moulds for number in numbers)
    return write_length(1, resource + write_length(2, scope + spans))
