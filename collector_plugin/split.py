"""Splits a request that is larger than peers take into several, none of its spans changed.

Pure. A group of spans that has to be cut in two keeps its resource and scope in both; every span keeps its bytes, and
their order stays. A single span that is too large alone is left to the peer to judge.
"""

from collections.abc import Iterator

import msgspec

from collector_plugin.otlp_spans import MAX_REQUEST_BYTES
from collector_plugin.span_request import SpanFormat, SpanRequest
from hopspan.protowire import LENGTH, read_fields, write_length

# Field numbers of ExportTraceServiceRequest, ResourceSpans and ScopeSpans.
_RESOURCE_SPANS, _SCOPE_SPANS, _SPAN = 1, 2, 2

_HEADER_BYTES = 32
"""Tags and lengths of the messages around a span, at the most."""

_Piece = tuple[bytes, int]
"""A field `resource_spans`, or a JSON value, and the number of its spans."""


def split_request(request: SpanRequest, limit_bytes: int = MAX_REQUEST_BYTES) -> list[SpanRequest]:
    """Return the request alone where it is small enough, else several of at most `limit_bytes`. Raises WireError."""
    if len(request.data) <= limit_bytes:
        return [request]
    if request.format is SpanFormat.ZIPKIN:
        values = [(bytes(value), 1) for value in msgspec.json.decode(request.data, type=list[msgspec.Raw])]
        groups = _gather(iter(values), limit_bytes - 2, 1)
        return [SpanRequest(b"[%b]" % b",".join(parts), count, request.format) for parts, count in groups]
    groups = _gather(_split_otlp(request.data, limit_bytes), limit_bytes, 0)
    return [SpanRequest(b"".join(parts), count) for parts, count in groups]


def _gather(pieces: Iterator[_Piece], limit_bytes: int, between_bytes: int) -> Iterator[tuple[list[bytes], int]]:
    """Yield neighbouring pieces that fit together; `between_bytes` stand between two."""
    parts: list[bytes] = []
    size = count = 0
    for data, span_count in pieces:
        if parts and size + len(data) + between_bytes > limit_bytes:
            yield parts, count
            parts, size, count = [], 0, 0
        parts.append(data)
        size += len(data) + between_bytes
        count += span_count
    if parts:
        yield parts, count


def _split_otlp(data: bytes, limit_bytes: int) -> Iterator[_Piece]:
    for number, wire_type, field_start, start, end in read_fields(data, 0, len(data)):
        if (number, wire_type) != (_RESOURCE_SPANS, LENGTH) or end - field_start <= limit_bytes:
            yield data[field_start:end], _count_spans(data, start, end) if number == _RESOURCE_SPANS else 0
        else:
            yield from _split_resource_spans(data, start, end, limit_bytes)


def _split_resource_spans(data: bytes, start: int, end: int, limit_bytes: int) -> Iterator[_Piece]:
    fields = list(read_fields(data, start, end))
    resource = b"".join(data[field[2] : field[4]] for field in fields if field[0] != _SCOPE_SPANS)
    for number, _, _, scope_start, scope_end in fields:
        if number != _SCOPE_SPANS:
            continue
        inner = list(read_fields(data, scope_start, scope_end))
        scope = b"".join(data[field[2] : field[4]] for field in inner if field[0] != _SPAN)
        room = limit_bytes - len(resource) - len(scope) - _HEADER_BYTES
        spans = ((data[field[2] : field[4]], 1) for field in inner if field[0] == _SPAN)
        for parts, count in _gather(spans, room, 0):
            scope_spans = write_length(_SCOPE_SPANS, scope + b"".join(parts))
            yield write_length(_RESOURCE_SPANS, resource + scope_spans), count


def _count_spans(data: bytes, start: int, end: int) -> int:
    return sum(
        inner[0] == _SPAN
        for field in read_fields(data, start, end)
        if field[0] == _SCOPE_SPANS and field[1] == LENGTH
        for inner in read_fields(data, field[3], field[4])
    )
