"""Builds what the plugin's tests are about: transits of a made-up cluster, application spans, and requests of both.

Times of transits are given in microseconds after MONOTONIC_NS; the nodes' wall clocks agree unless a test says not.
"""

from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from collector_plugin.halves import Half, Origin
from collector_plugin.places import Place
from node_probe.transit import (
    Context,
    ContextFormat,
    Direction,
    Point,
    Stamp,
    Transit,
    Tunnel,
)
from node_probe.wire_batch import NodeIdentity, RawBatch, RawTransit, TransitBatch
from node_probe.wire_record import encode_record

TRACE_ID = bytes.fromhex("0af7651916cd43dd8448eb211c80319c")
SPAN_ID = bytes.fromhex("b7ad6b7169203331")
PARENT_KEY = TRACE_ID + SPAN_ID

US = 1_000
MS = 1_000_000
SECOND = 1_000_000_000

MONOTONIC_NS = 5_000 * SECOND
EPOCH_NS = 1_700_000_000 * SECOND
OFFSET_NS = EPOCH_NS - MONOTONIC_NS

CLIENT, SERVER = "10.244.1.2", "10.96.0.10"
SERVER_POD = "10.244.2.2"
OUTER_1, OUTER_2 = "192.168.7.1", "192.168.7.2"
INTERFACES = {2: "ens3", 3: "veth0a", 4: "flannel.1"}

REQUEST, RESPONSE = Direction.REQUEST, Direction.RESPONSE

_IFINDEX = {
    Point.POD_EGRESS: 9, Point.VETH_INGRESS: 3, Point.OVERLAY_EGRESS: 4, Point.NIC_EGRESS: 2,
    Point.NIC_INGRESS: 2, Point.OVERLAY_INGRESS: 4, Point.VETH_EGRESS: 3, Point.POD_INGRESS: 9,
}  # fmt: skip


def address(text: str) -> bytes:
    """Return 16 bytes, IPv4 mapped."""
    packed = ip_address(text).packed
    return packed if len(packed) == 16 else bytes(10) + b"\xff\xff" + packed


def make_transit(
    points: dict[int, int],
    *,
    direction: Direction = REQUEST,
    tsval: int = 100,
    seq: int = 4242,
    trace_id: bytes = TRACE_ID,
    parent_id: bytes = SPAN_ID,
    server: str = SERVER,
    tunnel: Tunnel = Tunnel.VXLAN,
    stream_id: int = 0,
) -> Transit:
    """Return a transit with a stamp at each of `points`: number -> microseconds after MONOTONIC_NS."""
    outer = (OUTER_1, OUTER_2) if direction is REQUEST else (OUTER_2, OUTER_1)
    return Transit(
        context=Context(trace_id, parent_id, 1, ContextFormat.TRACEPARENT),
        direction=direction,
        seq=seq,
        tsval=tsval,
        client_port=40_000,
        server_port=8080,
        client_address=address(CLIENT),
        server_address=address(server),
        stamps=tuple(Stamp(Point(p), _IFINDEX[Point(p)], MONOTONIC_NS + us * US) for p, us in points.items()),
        tunnel=tunnel,
        vni=1 if tunnel is not Tunnel.NONE else 0,
        outer_source=address(outer[0]) if tunnel is not Tunnel.NONE else bytes(16),
        outer_destination=address(outer[1]) if tunnel is not Tunnel.NONE else bytes(16),
        stream_id=stream_id,
    )


def make_node(name: str = "node-1", clock_id: str = "boot-a", k8s: str = "") -> NodeIdentity:
    """Return a node; all nodes share a clock unless told otherwise."""
    return NodeIdentity(name, f"host-id-{name}", name, clock_id, k8s)


NODE_1, NODE_2 = make_node("node-1"), make_node("node-2")
FOREIGN_NODE = make_node("node-2", clock_id="boot-b")


def make_batch(node: NodeIdentity, *transits: Transit, offset_ns: int = OFFSET_NS) -> RawBatch:
    """Return a batch of the node, as the join gets it."""
    return RawBatch(node, offset_ns, INTERFACES, tuple(make_raw(transit) for transit in transits))


def make_decoded_batch(node: NodeIdentity, *transits: Transit) -> TransitBatch:
    """Return a batch of the node, as it is encoded from."""
    return TransitBatch(node, OFFSET_NS, INTERFACES, transits)


def make_raw(transit: Transit) -> RawTransit:
    """Return a transit as it was sent."""
    context = transit.context
    return RawTransit(encode_record(transit), context.trace_id, context.parent_id, context.flags)


def make_half(node: NodeIdentity, transit: Transit, offset_ns: int = OFFSET_NS) -> Half:
    """Return one node's half of a message."""
    return Half(make_raw(transit), Origin(Place(node, INTERFACES), offset_ns))


def make_attributes(values: dict[str, str]) -> list[KeyValue]:
    """Return string attributes."""
    return [KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in values.items()]


def make_span(
    trace_id: bytes = TRACE_ID,
    span_id: bytes = SPAN_ID,
    *,
    kind: int = 3,
    start_ns: int = EPOCH_NS,
    end_ns: int = EPOCH_NS + 40 * MS,
    attributes: int = 2,
) -> Span:
    """Return an application span: 40 ms of a CLIENT."""
    return Span(
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=b"\x07" * 8,
        name="GET cart",
        kind=Span.SpanKind.ValueType(kind),
        start_time_unix_nano=start_ns,
        end_time_unix_nano=end_ns,
        attributes=make_attributes({f"key.{n}": "value" for n in range(attributes)}),
        flags=0x101,
    )


def make_resource_spans(spans: Iterable[Span], *, service: str = "frontend", scope: str = "app") -> ResourceSpans:
    """Return a ResourceSpans with one scope."""
    message = ResourceSpans(schema_url="https://opentelemetry.io/schemas/1.30.0")
    message.resource.attributes.extend(make_attributes({"service.name": service, "host.name": "node-1"}))
    message.scope_spans.append(ScopeSpans(spans=list(spans)))
    message.scope_spans[0].scope.name = scope
    message.scope_spans[0].scope.version = "1"
    return message


def make_request(*messages: ResourceSpans) -> bytes:
    """Return the bytes of a request."""
    return ExportTraceServiceRequest(resource_spans=messages).SerializeToString()


def list_spans(requests: Sequence[bytes]) -> list[Span]:
    """Return the spans of several requests, in order."""
    return [
        span
        for data in requests
        for resource_spans in ExportTraceServiceRequest.FromString(data).resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]


def read_attributes(span: Span) -> dict[str, object]:
    """Return the attributes of a span as plain values."""
    values: dict[str, object] = {}
    for item in span.attributes:
        kind = item.value.WhichOneof("value")
        value = getattr(item.value, kind or "string_value")
        values[item.key] = [v.string_value for v in value.values] if kind == "array_value" else value
    return values
