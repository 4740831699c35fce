"""Network spans to the bytes of OTLP requests, each small enough for any receiver.

Pure. Written field by field in ascending order, so that equal spans have equal bytes. Format:
opentelemetry/proto/trace/v1/trace.proto and common/v1/common.proto.
"""

import functools
import struct
from collections.abc import Iterable, Iterator

from collector_plugin.network_span import Attributes, AttributeValue, Emission, NetworkSpan, SpanEvent
from collector_plugin.otlp_walk import OWN_SCOPE
from collector_plugin.span_request import SpanRequest
from hopspan.protowire import write_fixed32, write_fixed64, write_integer, write_length

MAX_REQUEST_BYTES = (4 << 20) - (64 << 10)
"""Receivers take 4 MiB unless told otherwise (gRPC's default); a little is left for what stands around the spans."""

SPAN_KIND_INTERNAL = 1

_CACHED_NAMES = 256
"""Names of hops, of spans and events."""

# Field numbers of Span and Span.Event.
_NAME, _ATTRIBUTES, _EVENTS, _FLAGS = 5, 9, 11, 16
_EVENT_TIME, _EVENT_NAME, _EVENT_ATTRIBUTES = 1, 2, 3

_IDS = struct.Struct("<2s16s2s8s2s8s")
"""Fields 1, 2 and 4, each behind its tag and length: trace id, span id, parent span id."""

_TIMES = struct.Struct("<cBcQcQ")
"""Fields 6, 7 and 8, each behind its tag: kind, start, end."""


def encode_emissions(emissions: Iterable[Emission], version: str) -> list[SpanRequest]:
    """Return the requests, of at most MAX_REQUEST_BYTES each, that hold the spans; `version` is the scope's."""
    scope = write_length(1, write_length(1, OWN_SCOPE.encode()) + write_length(2, version.encode()))
    by_resource: dict[bytes, list[NetworkSpan]] = {}
    for emission in emissions:
        by_resource.setdefault(emission.resource, []).extend(emission.spans)
    requests: list[SpanRequest] = []
    parts: list[bytes] = []
    size = count = 0
    for data, span_count in _encode_groups(by_resource, scope):
        if parts and size + len(data) > MAX_REQUEST_BYTES:
            requests.append(SpanRequest(b"".join(parts), count))
            parts, size, count = [], 0, 0
        parts.append(data)
        size += len(data)
        count += span_count
    if parts:
        requests.append(SpanRequest(b"".join(parts), count))
    return requests


def encode_span(span: NetworkSpan) -> bytes:
    """Return the bytes of an OTLP Span."""
    parts = [
        _IDS.pack(b"\x0a\x10", span.trace_id, b"\x12\x08", span.span_id, b"\x22\x08", span.parent_id),
        _encode_name(_NAME, span.name),
        _TIMES.pack(b"\x30", SPAN_KIND_INTERNAL, b"\x39", span.start_ns, b"\x41", span.end_ns),
        *(_encode_attributes(_ATTRIBUTES, group) for group in span.groups),
        *(write_length(_EVENTS, _encode_event(event)) for event in span.events),
    ]
    if span.flags:
        parts.append(write_fixed32(_FLAGS, span.flags))
    return b"".join(parts)


def _encode_event(event: SpanEvent) -> bytes:
    return b"".join(
        (
            write_fixed64(_EVENT_TIME, event.time_ns),
            _encode_name(_EVENT_NAME, event.name),
            *(_encode_attributes(_EVENT_ATTRIBUTES, group) for group in event.groups),
        )
    )


def _encode_groups(by_resource: dict[bytes, list[NetworkSpan]], scope: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the resource_spans field of each resource; more than one where its spans are too many for one request."""
    for resource, spans in by_resource.items():
        fields: list[bytes] = []
        size = len(resource)
        for span in spans:
            field = write_length(2, encode_span(span))
            if fields and size + len(field) > MAX_REQUEST_BYTES // 2:
                yield _encode_group(resource, scope, fields), len(fields)
                fields, size = [], len(resource)
            fields.append(field)
            size += len(field)
        yield _encode_group(resource, scope, fields), len(fields)


def _encode_group(resource: bytes, scope: bytes, fields: list[bytes]) -> bytes:
    return write_length(1, resource + write_length(2, b"".join((scope, *fields))))


def _encode_attributes(number: int, group: Attributes) -> bytes:
    if group.encoded[0] != number:
        fields = (write_length(number, _encode_key(key) + _encode_value(value)) for key, value in group.pairs)
        group.encoded = (number, b"".join(fields))
    return group.encoded[1]


@functools.lru_cache(_CACHED_NAMES)
def _encode_name(number: int, name: str) -> bytes:
    return write_length(number, name.encode())


@functools.cache
def _encode_key(key: str) -> bytes:
    return write_length(1, key.encode())


def _encode_value(value: AttributeValue) -> bytes:
    return write_length(2, _encode_any(value))


def _encode_any(value: AttributeValue) -> bytes:
    # AnyValue: string 1, bool 2, int 3, array 5 (ArrayValue: values 1). bool before int, which it is too.
    if isinstance(value, str):
        return write_length(1, value.encode())
    if isinstance(value, bool):
        return write_integer(2, int(value))
    if isinstance(value, int):
        return write_integer(3, value)
    return write_length(5, b"".join(write_length(1, _encode_any(item)) for item in value))
