"""Network spans to the bytes of OTLP requests, each small enough for any receiver.

Pure. Written field by field in ascending order, so that equal spans have equal bytes. Format:
opentelemetry/proto/trace/v1/trace.proto and common/v1/common.proto.
"""

import functools
import struct
from collections.abc import Iterable, Iterator

from collector_plugin.network_span import (
    DURATION_KEY,
    Attributes,
    AttributeValue,
    Emission,
    NetworkSpan,
    SpanEvent,
)
from collector_plugin.otlp_walk import OWN_SCOPE
from collector_plugin.span_request import SpanRequest
from hopspan.protowire import (
    LENGTH,
    write_fixed32,
    write_fixed64,
    write_integer,
    write_length,
    write_varint,
)

MAX_REQUEST_BYTES = (4 << 20) - (64 << 10)
"""Receivers take 4 MiB unless told otherwise (gRPC's default); a little is left for what stands around the spans."""

SPAN_KIND_INTERNAL = 1

_CACHED_NAMES = 256
"""Names of hops, of spans and events."""

# Field numbers of ScopeSpans, Span and Span.Event.
_SPANS = 2
_NAME, _ATTRIBUTES, _EVENTS, _FLAGS = 5, 9, 11, 16
_EVENT_TIME, _EVENT_NAME, _EVENT_ATTRIBUTES = 1, 2, 3

# Fields that every span has: tag and length of the ids, tag and value of the kind, tags of the times.
_TRACE_ID_HEAD, _SPAN_ID_HEAD, _PARENT_ID_HEAD = b"\x0a\x10", b"\x12\x08", b"\x22\x08"
_KIND, _START_HEAD, _END_HEAD = bytes((0x30, SPAN_KIND_INTERNAL)), b"\x39", b"\x41"

_TIMES = struct.Struct("<2scQcQ")
"""Fields 6, 7 and 8, the times each behind its tag: kind, start, end."""

_MASK64 = (1 << 64) - 1

_CACHED_HEADS = 4096
"""Tags with lengths: spans have some 300 bytes, in `summary` up to 3,000."""


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
    groups = iter(span.groups)
    parts = [
        _TRACE_ID_HEAD,
        span.trace_id,
        _SPAN_ID_HEAD,
        span.span_id,
        _PARENT_ID_HEAD,
        span.parent_id,
        _encode_name(_NAME, span.name),
        _TIMES.pack(_KIND, _START_HEAD, span.start_ns, _END_HEAD, span.end_ns),
        _encode_attributes(_ATTRIBUTES, next(groups)),
        _encode_whole(_ATTRIBUTES, DURATION_KEY, span.duration_ns),
    ]
    for group in groups:
        number, data = group.encoded
        parts.append(data if number == _ATTRIBUTES else _encode_attributes(_ATTRIBUTES, group))
    if span.events:
        parts += [write_length(_EVENTS, _encode_event(event)) for event in span.events]
    if span.flags:
        parts.append(_encode_flags(span.flags))
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
            data = encode_span(span)
            head = _encode_head(_SPANS, len(data))
            length = len(head) + len(data)
            if fields and size + length > MAX_REQUEST_BYTES // 2:
                yield _encode_group(resource, scope, fields), len(fields) // 2
                fields, size = [], len(resource)
            fields += (head, data)
            size += length
        yield _encode_group(resource, scope, fields), len(fields) // 2


def _encode_group(resource: bytes, scope: bytes, fields: list[bytes]) -> bytes:
    return write_length(1, resource + write_length(2, b"".join((scope, *fields))))


def _encode_attributes(number: int, group: Attributes) -> bytes:
    if group.encoded[0] != number:
        group.encoded = (number, b"".join([_encode_attribute(number, key, value) for key, value in group.pairs]))
    return group.encoded[1]


def _encode_attribute(number: int, key: str, value: AttributeValue) -> bytes:
    if type(value) is int:
        return _encode_whole(number, key, value)
    return write_length(number, _encode_key(key) + _encode_value(value))


def _encode_whole(number: int, key: str, value: int) -> bytes:
    data = write_varint(value & _MASK64)
    return _encode_whole_head(number, key, len(data)) + data


@functools.cache
def _encode_whole_head(number: int, key: str, size: int) -> bytes:
    """Return all of an attribute but its value, a varint of `size` bytes: nearly every span has another value."""
    name = _encode_key(key)
    integer = bytes((3 << 3,))
    value = write_varint(2 << 3 | LENGTH) + write_varint(len(integer) + size) + integer
    return write_varint(number << 3 | LENGTH) + write_varint(len(name) + len(value) + size) + name + value


@functools.lru_cache(_CACHED_HEADS)
def _encode_head(number: int, size: int) -> bytes:
    """Return tag and length of a field with `size` bytes."""
    return write_varint(number << 3 | LENGTH) + write_varint(size)


@functools.cache
def _encode_flags(flags: int) -> bytes:
    return write_fixed32(_FLAGS, flags)


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
