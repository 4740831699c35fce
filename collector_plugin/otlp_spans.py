"""Network spans to the bytes of OTLP requests, each small enough for any receiver.

Pure. Written field by field in ascending order, so that equal spans have equal bytes. Format:
opentelemetry/proto/trace/v1/trace.proto and common/v1/common.proto.
"""

import functools
from collections.abc import Iterable, Iterator

import msgspec

from collector_plugin.inject import AttributeValue, Emission, NetworkSpan
from collector_plugin.otlp_walk import OWN_SCOPE
from hopspan.protowire import write_fixed32, write_fixed64, write_integer, write_length

MAX_REQUEST_BYTES = (4 << 20) - (64 << 10)
"""Receivers take 4 MiB unless told otherwise (gRPC's default); a little is left for what stands around the spans."""

SPAN_KIND_INTERNAL = 1

_CACHED_ATTRIBUTES = 4096
"""Nodes, devices, addresses and names repeat in every span; some 1 MiB."""


class SpanRequest(msgspec.Struct, frozen=True):
    """An ExportTraceServiceRequest and the number of its spans."""

    data: bytes
    span_count: int


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
        write_length(1, span.trace_id),
        write_length(2, span.span_id),
        write_length(4, span.parent_id),
        write_length(5, span.name.encode()),
        write_integer(6, SPAN_KIND_INTERNAL),
        write_fixed64(7, span.start_ns),
        write_fixed64(8, span.end_ns),
        *(write_length(9, _encode_attribute(key, value)) for key, value in span.attributes),
    ]
    if span.flags:
        parts.append(write_fixed32(16, span.flags))
    return b"".join(parts)


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


def _encode_attribute(key: str, value: AttributeValue) -> bytes:
    if isinstance(value, str):
        return _encode_text_attribute(key, value)
    return _encode_key(key) + write_length(2, _encode_value(value))


@functools.lru_cache(_CACHED_ATTRIBUTES)
def _encode_text_attribute(key: str, value: str) -> bytes:
    return _encode_key(key) + write_length(2, _encode_value(value))


@functools.cache
def _encode_key(key: str) -> bytes:
    return write_length(1, key.encode())


def _encode_value(value: AttributeValue) -> bytes:
    # AnyValue: string 1, bool 2, int 3, array 5 (ArrayValue: values 1). bool before int, which it is too.
    if isinstance(value, str):
        return write_length(1, value.encode())
    if isinstance(value, bool):
        return write_integer(2, int(value))
    if isinstance(value, int):
        return write_integer(3, value)
    return write_length(5, b"".join(write_length(1, _encode_value(item)) for item in value))
