"""An OTLP request to a Zipkin v2 JSON array, by OpenTelemetry's mapping.

Pure. Source: specification/trace/sdk_exporters/zipkin.md and common/mapping-to-non-otlp.md of the specification; what
they leave open (resource, trace state, links) is as in the Collector's zipkin exporter. What Zipkin cannot carry is
listed in docs/zipkin.md. The way back is zipkin_to_otlp.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status

from collector_plugin.service_name import UNKNOWN_SERVICE
from collector_plugin.span_walk import NO_LEFT
from collector_plugin.zipkin_endpoints import write_local, write_remote
from collector_plugin.zipkin_events import DROPPED_ATTRIBUTES, write_event, write_link
from collector_plugin.zipkin_merge import encode_array
from collector_plugin.zipkin_micros import NS_PER_US
from collector_plugin.zipkin_resource import SERVICE_NAME
from collector_plugin.zipkin_spans import MIN_DURATION_US
from collector_plugin.zipkin_values import write_text
from hopspan.protowire import WireError

SCOPE_NAME, SCOPE_VERSION = "otel.scope.name", "otel.scope.version"
STATUS_CODE, STATUS_DESCRIPTION, ERROR = "otel.status_code", "otel.status_description", "error"
DROPPED_EVENTS, DROPPED_LINKS = "otel.dropped_events_count", "otel.dropped_links_count"
TRACE_STATE = "w3c.tracestate"
LINK = "otlp.link."
"""Tags, here and on the way back."""

_KINDS: dict[int, str] = {
    Span.SPAN_KIND_SERVER: "SERVER",
    Span.SPAN_KIND_CLIENT: "CLIENT",
    Span.SPAN_KIND_PRODUCER: "PRODUCER",
    Span.SPAN_KIND_CONSUMER: "CONSUMER",
}
"""Any other kind is local, for which Zipkin has none."""

_TRACE_ID_BYTES, _SPAN_ID_BYTES = 16, 8


class Conversion(msgspec.Struct, frozen=True):
    """What became of a request."""

    data: bytes
    """The JSON array."""
    span_count: int
    left_out: int
    """Spans whose ids are zeros or of another length, which Zipkin refuses, and all that comes with them."""


def convert_request(data: bytes) -> Conversion:
    """Return the same, and how many spans are in it and not in it."""
    try:
        request = ExportTraceServiceRequest.FromString(data)
    except DecodeError as error:
        raise WireError("not an ExportTraceServiceRequest that can be read") from error
    spans = [span for group in request.resource_spans for span in _convert_group(group)]
    converted = [span for span in spans if span]
    return Conversion(encode_array(converted), len(converted), len(spans) - len(converted))


def _convert_group(group: ResourceSpans) -> Iterator[dict[str, Any]]:
    resource = _write_tags(group.resource.attributes)
    service = resource.pop(SERVICE_NAME, "") or UNKNOWN_SERVICE
    for scope_spans in group.scope_spans:
        common = {**resource, **_write_scope(scope_spans.scope)}
        for span in scope_spans.spans:
            yield _convert_span(span, service, common)


def _write_tags(attributes: Iterable[KeyValue]) -> dict[str, str]:
    return {attribute.key: write_text(attribute.value) for attribute in attributes}


def _write_scope(scope: InstrumentationScope) -> dict[str, str]:
    tags = _write_tags(scope.attributes)
    if scope.name:
        tags[SCOPE_NAME] = scope.name
    if scope.version:
        tags[SCOPE_VERSION] = scope.version
    return tags


def _convert_span(span: Span, service: str, common: dict[str, str]) -> dict[str, Any]:
    """Return the span's JSON object, an empty one where it cannot have any."""
    if not _is_id(span.trace_id, _TRACE_ID_BYTES) or not _is_id(span.span_id, _SPAN_ID_BYTES):
        return {}
    # With its ids, a 64-bit trace has 16 digits, as everywhere in Zipkin.
    trace_id = span.trace_id.removeprefix(NO_LEFT)
    converted: dict[str, Any] = {"traceId": trace_id.hex(), "id": span.span_id.hex()}
    if _is_id(span.parent_span_id, _SPAN_ID_BYTES):
        converted["parentId"] = span.parent_span_id.hex()
    kind = _KINDS.get(span.kind, "")
    if kind:
        converted["kind"] = kind
    if span.name:
        converted["name"] = span.name
    converted.update(_write_times(span))
    tags = {**common, **_write_tags(span.attributes)}
    converted["localEndpoint"] = write_local(service, tags)
    remote = write_remote(kind, tags)
    if remote:
        converted["remoteEndpoint"] = remote
    if span.events:
        converted["annotations"] = [
            {"timestamp": event.time_unix_nano // NS_PER_US, "value": write_event(event)} for event in span.events
        ]
    _add_fields(tags, span)
    if tags:
        converted["tags"] = tags
    return converted


def _is_id(data: bytes, length: int) -> bool:
    return len(data) == length and any(data)


def _write_times(span: Span) -> dict[str, int]:
    start_ns, end_ns = span.start_time_unix_nano, span.end_time_unix_nano
    times = {}
    if start_ns >= NS_PER_US:
        times["timestamp"] = start_ns // NS_PER_US
    # A span that ended when it began is one microsecond long: to Zipkin none is no duration.
    if end_ns and end_ns >= start_ns:
        times["duration"] = max((end_ns - start_ns) // NS_PER_US, MIN_DURATION_US)
    return times


def _add_fields(tags: dict[str, str], span: Span) -> None:
    """Add what are fields in OTLP and tags in Zipkin."""
    if span.status.code == Status.STATUS_CODE_ERROR:
        tags[STATUS_CODE], tags[ERROR] = "ERROR", span.status.message
        if span.status.message:
            tags[STATUS_DESCRIPTION] = span.status.message
    else:
        if span.status.code == Status.STATUS_CODE_OK:
            tags[STATUS_CODE] = "OK"
        # Zipkin takes any span with this tag for failed, whatever it says.
        if tags.get(ERROR) == "false":
            del tags[ERROR]
    if span.trace_state:
        tags[TRACE_STATE] = span.trace_state
    counts = (
        (DROPPED_ATTRIBUTES, span.dropped_attributes_count),
        (DROPPED_EVENTS, span.dropped_events_count),
        (DROPPED_LINKS, span.dropped_links_count),
    )
    tags.update({key: str(count) for key, count in counts if count})
    tags.update({f"{LINK}{index}": write_link(link) for index, link in enumerate(span.links)})
