"""An OTLP/JSON trace request to the protobuf bytes of the same request.

Pure. OTLP's mapping is protobuf's but for ids, which are hex, and enums, which are numbers alone; unknown keys are
ignored. Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding. Not protobuf's own json_format,
which takes five times as long. Fields are written in ascending order, as the library writes them.
"""

import binascii

import msgspec

from collector_plugin import otlp_walk
from collector_plugin.json_input import Allowance, decode_json
from collector_plugin.otlp_json_values import (
    MAX_UINT32,
    MAX_UINT64,
    Counted,
    Integer,
    KeyValue,
    allowance,
    read_integer,
    write_attributes,
)
from collector_plugin.otlp_walk import TooManySpansError
from hopspan.protowire import WireError, write_fixed32, write_fixed64, write_integer, write_length

MIN_OBJECT_BYTES = 12
"""A value in a list takes 15 bytes or more, `{"intValue":1}`, and becomes some 90 bytes of objects. More objects than
one to so many bytes are refused, or 16 MiB of `{}` would take 400."""

FREE_OBJECTS = 20_000
"""Allowed whatever the length: empty values do occur."""

_INT32 = (-(1 << 31), (1 << 31) - 1)
_TRACE_ID_BYTES, _SPAN_ID_BYTES = 16, 8


_spans = Allowance()


class _Event(Counted, gc=False, rename="camel"):
    time_unix_nano: Integer = None
    name: str | None = None
    attributes: list[KeyValue] | None = None
    dropped_attributes_count: Integer = None


class _Link(Counted, gc=False, rename="camel"):
    trace_id: str | None = None
    span_id: str | None = None
    trace_state: str | None = None
    attributes: list[KeyValue] | None = None
    dropped_attributes_count: Integer = None
    flags: Integer = None


class _Status(msgspec.Struct, gc=False):
    message: str | None = None
    code: int | None = None


class _Span(msgspec.Struct, gc=False, rename="camel"):
    trace_id: str | None = None
    span_id: str | None = None
    trace_state: str | None = None
    parent_span_id: str | None = None
    name: str | None = None
    kind: int | None = None
    start_time_unix_nano: Integer = None
    end_time_unix_nano: Integer = None
    attributes: list[KeyValue] | None = None
    dropped_attributes_count: Integer = None
    events: list[_Event] | None = None
    dropped_events_count: Integer = None
    links: list[_Link] | None = None
    dropped_links_count: Integer = None
    status: _Status | None = None
    flags: Integer = None

    def __post_init__(self) -> None:
        _spans.take()


class _Scope(msgspec.Struct, gc=False, rename="camel"):
    name: str | None = None
    version: str | None = None
    attributes: list[KeyValue] | None = None
    dropped_attributes_count: Integer = None


class _ScopeSpans(Counted, gc=False, rename="camel"):
    scope: _Scope | None = None
    spans: list[_Span] | None = None
    schema_url: str | None = None


class _Resource(msgspec.Struct, gc=False, rename="camel"):
    attributes: list[KeyValue] | None = None
    dropped_attributes_count: Integer = None


class _ResourceSpans(Counted, gc=False, rename="camel"):
    resource: _Resource | None = None
    scope_spans: list[_ScopeSpans] | None = None
    schema_url: str | None = None


class _Request(msgspec.Struct, gc=False, rename="camel"):
    resource_spans: list[_ResourceSpans] | None = None


_DECODER = msgspec.json.Decoder(_Request)


def read_otlp_json(data: bytes) -> bytes:
    """Return the ExportTraceServiceRequest of its JSON form.

    Raises WireError, which says what was wrong, and TooManySpansError for more than otlp_walk.MAX_SPANS, or for more
    objects than so many bytes lawfully hold.
    """
    _spans.set(otlp_walk.MAX_SPANS)
    allowance.set(FREE_OBJECTS + len(data) // MIN_OBJECT_BYTES)
    try:
        request = decode_json(_DECODER, data)
    except WireError as error:
        if _spans.is_exceeded:
            raise TooManySpansError(f"more than {otlp_walk.MAX_SPANS} spans in one request") from error
        if allowance.is_exceeded:
            raise TooManySpansError(f"too many objects for {len(data)} bytes") from error
        raise
    return b"".join([write_length(1, _write_resource_spans(group)) for group in request.resource_spans or ()])


def _write_resource_spans(group: _ResourceSpans) -> bytes:
    parts: list[bytes] = []
    if group.resource is not None:
        resource = write_attributes(1, group.resource.attributes)
        resource.append(_write_count(2, group.resource.dropped_attributes_count))
        parts.append(write_length(1, b"".join(resource)))
    parts += [write_length(2, _write_scope_spans(scope_spans)) for scope_spans in group.scope_spans or ()]
    parts.append(_write_text(3, group.schema_url))
    return b"".join(parts)


def _write_scope_spans(group: _ScopeSpans) -> bytes:
    parts: list[bytes] = []
    scope = group.scope
    if scope is not None:
        fields = [_write_text(1, scope.name), _write_text(2, scope.version)]
        fields += write_attributes(3, scope.attributes)
        fields.append(_write_count(4, scope.dropped_attributes_count))
        parts.append(write_length(1, b"".join(fields)))
    parts += [write_length(2, _write_span(span)) for span in group.spans or ()]
    parts.append(_write_text(3, group.schema_url))
    return b"".join(parts)


def _write_span(span: _Span) -> bytes:
    parts = [
        _write_id(1, span.trace_id, _TRACE_ID_BYTES),
        _write_id(2, span.span_id, _SPAN_ID_BYTES),
        _write_text(3, span.trace_state),
        _write_id(4, span.parent_span_id, _SPAN_ID_BYTES),
        _write_text(5, span.name),
        _write_enum(6, span.kind),
        _write_time(7, span.start_time_unix_nano),
        _write_time(8, span.end_time_unix_nano),
    ]
    parts += write_attributes(9, span.attributes)
    parts.append(_write_count(10, span.dropped_attributes_count))
    parts += [write_length(11, _write_event(event)) for event in span.events or ()]
    parts.append(_write_count(12, span.dropped_events_count))
    parts += [write_length(13, _write_link(link)) for link in span.links or ()]
    parts.append(_write_count(14, span.dropped_links_count))
    if span.status is not None:
        parts.append(write_length(15, _write_text(2, span.status.message) + _write_enum(3, span.status.code)))
    parts.append(_write_flags(16, span.flags))
    return b"".join(parts)


def _write_event(event: _Event) -> bytes:
    parts = [_write_time(1, event.time_unix_nano), _write_text(2, event.name)]
    parts += write_attributes(3, event.attributes)
    parts.append(_write_count(4, event.dropped_attributes_count))
    return b"".join(parts)


def _write_link(link: _Link) -> bytes:
    parts = [
        _write_id(1, link.trace_id, _TRACE_ID_BYTES),
        _write_id(2, link.span_id, _SPAN_ID_BYTES),
        _write_text(3, link.trace_state),
    ]
    parts += write_attributes(4, link.attributes)
    parts += (_write_count(5, link.dropped_attributes_count), _write_flags(6, link.flags))
    return b"".join(parts)


# Of each kind of field: nothing where it is absent or has its default, as proto3 has it.


def _write_id(number: int, text: str | None, size: int) -> bytes:
    if not text:
        return b""
    try:
        data = binascii.unhexlify(text)
    except ValueError:
        data = b""
    if len(data) != size:
        raise WireError(f"an id is not {2 * size} hex digits")
    return write_length(number, data)


def _write_text(number: int, text: str | None) -> bytes:
    return write_length(number, text.encode()) if text else b""


def _write_enum(number: int, value: int | None) -> bytes:
    return write_integer(number, read_integer(value, *_INT32)) if value else b""


def _write_count(number: int, value: Integer) -> bytes:
    count = read_integer(value, 0, MAX_UINT32) if value else 0
    return write_integer(number, count) if count else b""


def _write_time(number: int, value: Integer) -> bytes:
    time_ns = read_integer(value, 0, MAX_UINT64) if value else 0
    return write_fixed64(number, time_ns) if time_ns else b""


def _write_flags(number: int, value: Integer) -> bytes:
    flags = read_integer(value, 0, MAX_UINT32) if value else 0
    return write_fixed32(number, flags) if flags else b""
