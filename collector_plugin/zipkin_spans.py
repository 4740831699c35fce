"""Network spans to the bytes of Zipkin v2 requests, as zipkin2-api.yaml has them.

Pure. Nothing is read here. What Zipkin cannot carry is left out: the trace flags, the
resource but for the service's name, the scope but as two tags, and times below a microsecond, which stay in the tag
hopspan.duration_ns.
"""

import json
from collections.abc import Iterable
from typing import Any

from collector_plugin.network_span import AttributeValue, Emission, NetworkSpan, Pair, SpanEvent
from collector_plugin.otlp_spans import MAX_REQUEST_BYTES
from collector_plugin.otlp_walk import OWN_SCOPE
from collector_plugin.service_name import read_service_name
from collector_plugin.span_request import SpanFormat, SpanRequest
from collector_plugin.span_walk import LEFT_BYTES, NO_LEFT
from collector_plugin.zipkin_merge import encode_array, merge_arrays

MIN_DURATION_US = 1
"""Zipkin knows no shorter duration."""

_NS_PER_US = 1_000


def encode_zipkin(emissions: Iterable[Emission], version: str) -> list[SpanRequest]:
    """Return the requests, of at most MAX_REQUEST_BYTES each, that hold the spans; `version` is the scope's."""
    requests: list[SpanRequest] = []
    parts: list[bytes] = []
    size = 0
    for emission in emissions:
        service = read_service_name(emission.resource)
        for span in emission.spans:
            part = encode_array([map_span(span, service, version)])
            if parts and size + len(part) >= MAX_REQUEST_BYTES:
                requests.append(_close_request(parts))
                parts, size = [], 0
            parts.append(part)
            size += len(part) + 1
    if parts:
        requests.append(_close_request(parts))
    return requests


def _close_request(parts: list[bytes]) -> SpanRequest:
    return SpanRequest(merge_arrays(parts), len(parts), SpanFormat.ZIPKIN)


def map_span(span: NetworkSpan, service: str, version: str) -> dict[str, Any]:
    """Return the span as a JSON object. `service` is the parent's, `version` that of the scope.

    Neither `kind` nor `remoteEndpoint`: with a kind, or with two names, it would be an edge of the dependency graph.
    The local endpoint has no address: with the node's, Zipkin's skew correction would move the span.
    """
    start_us, end_us = span.start_ns // _NS_PER_US, span.end_ns // _NS_PER_US
    mapped: dict[str, Any] = {
        "traceId": _write_trace_id(span.trace_id),
        "parentId": span.parent_id.hex(),
        "id": span.span_id.hex(),
        "name": span.name,
        "timestamp": start_us,
        "duration": max(end_us - start_us, MIN_DURATION_US),
        "localEndpoint": {"serviceName": service.lower()},
    }
    if span.events:
        mapped["annotations"] = [_map_event(event) for event in span.events]
    mapped["tags"] = {
        **{key: _write_value(value) for key, value in span.attributes},
        "otel.scope.name": OWN_SCOPE,
        "otel.scope.version": version,
    }
    return mapped


def _write_trace_id(trace_id: bytes) -> str:
    # A 64-bit id came by B3, and the application's own spans have it in Zipkin so.
    return (trace_id[LEFT_BYTES:] if trace_id.startswith(NO_LEFT) else trace_id).hex()


def _map_event(event: SpanEvent) -> dict[str, Any]:
    pairs: list[Pair] = [pair for group in event.groups for pair in group.pairs]
    text = json.dumps({event.name: dict(pairs)}, ensure_ascii=False, separators=(",", ":"))
    # The form of OpenTelemetry's specification: the name in quotes, a colon, the attributes as JSON.
    return {"timestamp": event.time_ns // _NS_PER_US, "value": text[1:-1]}


def _write_value(value: AttributeValue) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
