"""A batch of transits as an OTLP request, made by the protobuf library: what the probe's writers are held to."""

from collections.abc import Iterable

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from node_probe.transit import Transit, transit_id
from node_probe.wire_batch import TransitBatch
from node_probe.wire_record import RECORD_KEY, SCOPE, SERVICE_NAME, SPAN_NAME, encode_record


def encode_batch(batch: TransitBatch, version: str) -> bytes:
    """Return `batch` as the bytes of an OTLP ExportTraceServiceRequest with one ResourceSpans.

    `version` is the probe's, sent as the scope's version.
    """
    request = ExportTraceServiceRequest()
    message = request.resource_spans.add()
    message.resource.attributes.extend(_resource_attributes(batch))
    scope_spans = message.scope_spans.add()
    scope_spans.scope.name = SCOPE
    scope_spans.scope.version = version
    scope_spans.spans.extend(_encode_transit(t, batch.node.name, batch.epoch_offset_ns) for t in batch.transits)
    return request.SerializeToString()


def _resource_attributes(batch: TransitBatch) -> Iterable[KeyValue]:
    node = batch.node
    strings = {
        "service.name": SERVICE_NAME,
        "host.id": node.host_id,
        "host.name": node.host_name,
        "hopspan.node": node.name,
        "k8s.node.name": node.k8s_node_name,
        "hopspan.clock.id": node.clock_id,
    }
    for key, value in strings.items():
        if value:
            yield KeyValue(key=key, value=AnyValue(string_value=value))
    yield KeyValue(key="hopspan.epoch_offset_ns", value=AnyValue(int_value=batch.epoch_offset_ns))
    occurring = {stamp.ifindex for transit in batch.transits for stamp in transit.stamps}
    names = AnyValue()
    names.array_value.values.extend(
        AnyValue(string_value=f"{ifindex} {name}")
        for ifindex, name in sorted(batch.interfaces.items())
        if ifindex in occurring
    )
    yield KeyValue(key="hopspan.interfaces", value=names)


def _encode_transit(transit: Transit, node: str, epoch_offset_ns: int) -> Span:
    return Span(
        trace_id=transit.context.trace_id,
        span_id=transit_id(transit, node),
        parent_span_id=transit.context.parent_id,
        flags=transit.context.flags,
        name=SPAN_NAME,
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=transit.stamps[0].monotonic_ns + epoch_offset_ns,
        end_time_unix_nano=transit.stamps[-1].monotonic_ns + epoch_offset_ns,
        attributes=[KeyValue(key=RECORD_KEY, value=AnyValue(bytes_value=encode_record(transit)))],
    )
