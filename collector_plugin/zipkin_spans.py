"""Network spans to Zipkin v2 JSON values, as zipkin2-api.yaml has them.

Pure. The exporter writes them; nothing is read here. What Zipkin cannot carry is left out: the trace flags, the
resource but for the service's name, the scope but as two tags, and times below a microsecond, which stay in the tag
hopspan.duration_ns.
"""

import json
from typing import Any

from collector_plugin.network_span import AttributeValue, NetworkSpan, Pair, SpanEvent
from collector_plugin.otlp_walk import OWN_SCOPE

MIN_DURATION_US = 1
"""Zipkin knows no shorter duration."""

_NS_PER_US = 1_000
_LEFT_BYTES = 8
_NO_LEFT = bytes(_LEFT_BYTES)


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
    return (trace_id[_LEFT_BYTES:] if trace_id.startswith(_NO_LEFT) else trace_id).hex()


def _map_event(event: SpanEvent) -> dict[str, Any]:
    pairs: list[Pair] = [pair for group in event.groups for pair in group.pairs]
    text = json.dumps({event.name: dict(pairs)}, ensure_ascii=False, separators=(",", ":"))
    # The form of OpenTelemetry's specification: the name in quotes, a colon, the attributes as JSON.
    return {"timestamp": event.time_ns // _NS_PER_US, "value": text[1:-1]}


def _write_value(value: AttributeValue) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
