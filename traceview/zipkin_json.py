"""Turn the answers of Zipkin's API, v2 JSON, into spans. Pure: no IO, no clock.

Format: openzipkin/zipkin-api, zipkin2-api.yaml. Times are microseconds; all attributes are texts, so those of hops
are read back into what they were. Ids that a client and its server share stay shared; the tree parts them.
"""

from collections.abc import Iterator

import msgspec

from traceview.ids import SPAN_ID_BYTES, TRACE_ID_BYTES, read_padded_id
from traceview.otlp_json import MAX_TIME_NS
from traceview.reading import Reading, collect_spans, decode_answer
from traceview.span import Attributes, AttributeValue, Span, SpanKind
from traceview.tag_values import find_scope, restore_values

NS_PER_US = 1000

HOST_KEYS = ("host.name", "k8s.node.name")
"""Of a resource's attributes, which Zipkin holds as tags, those that name a node."""

_KINDS = {kind.name: kind for kind in SpanKind}


class _Endpoint(msgspec.Struct, rename="camel"):
    service_name: str | None = None


class _Span(msgspec.Struct, rename="camel"):
    trace_id: str
    id: str
    parent_id: str | None = None
    name: str | None = None
    kind: str | None = None
    timestamp: int | None = None
    duration: int | None = None
    local_endpoint: _Endpoint | None = None
    tags: dict[str, str] | None = None


_TRACE = msgspec.json.Decoder(list[_Span])
_TRACES = msgspec.json.Decoder(list[list[_Span]])


def read_zipkin_trace(body: bytes) -> Reading:
    """Return the spans of `/api/v2/trace/{id}`, an array of spans. Raises AnswerError."""
    return collect_spans(_walk_spans(decode_answer(_TRACE, body)))


def read_zipkin_traces(body: bytes) -> Reading:
    """Return the spans of `/api/v2/traces`, an array of such arrays. Raises AnswerError."""
    return collect_spans(found for trace in decode_answer(_TRACES, body) for found in _walk_spans(trace))


def _walk_spans(spans: list[_Span]) -> Iterator[Span | ValueError]:
    for span in spans:
        try:
            yield _read_span(span)
        except ValueError as error:
            yield ValueError(f"span {span.name!r:.60} {span.id!r:.40}: {error}")


def _read_span(span: _Span) -> Span:
    if span.timestamp is None:
        raise ValueError("it has no timestamp, so that it has no place")
    start_ns = span.timestamp * NS_PER_US
    end_ns = start_ns + (span.duration or 0) * NS_PER_US
    if not 0 <= start_ns <= end_ns <= MAX_TIME_NS:
        raise ValueError(f"timestamp or duration is no time: {span.timestamp}, {span.duration}")
    tags = span.tags or {}
    return Span(
        trace_id=read_padded_id("traceId", span.trace_id, TRACE_ID_BYTES),
        span_id=read_padded_id("id", span.id, SPAN_ID_BYTES),
        parent_id=_read_parent(span.parent_id),
        name=span.name or "",
        kind=_KINDS.get(span.kind or "INTERNAL", SpanKind.UNSPECIFIED),
        start_ns=start_ns,
        end_ns=end_ns,
        scope=find_scope(tags),
        failed=tags.get("error", "false") != "false",
        resource=_read_resource(span, tags),
        attributes=restore_values(tags),
    )


def _read_parent(text: str | None) -> bytes:
    return read_padded_id("parentId", text, SPAN_ID_BYTES) if text and text.strip("0") else b""


def _read_resource(span: _Span, tags: Attributes) -> dict[str, AttributeValue]:
    resource = {key: tags[key] for key in HOST_KEYS if key in tags}
    if span.local_endpoint and span.local_endpoint.service_name:
        resource["service.name"] = span.local_endpoint.service_name
    return resource
