"""Turn OTLP JSON, one ExportTraceServiceRequest a line, into spans. Pure: no IO, no clock.

OTLP JSON differs from protobuf's JSON: ids are hex in either case, enums are numbers, 64-bit integers come as
strings or as numbers (opentelemetry.io, OTLP specification, "JSON Protobuf Encoding"). Unknown fields are ignored.
"""

import base64
import binascii
from collections.abc import Iterable, Iterator

import msgspec

from traceview.span import Attributes, AttributeValue, Span, SpanKind

MAX_LINE_BYTES = 16 * 1024 * 1024
"""A Collector takes requests of at most 4 MiB of protobuf, which grow to about three times that as JSON."""

MAX_SPANS = 100_000
"""Some 200 MB as values; beyond that a person looks at a backend, not at a file."""

MAX_TIME_NS = 2**64 - 1
"""Times are fixed64 in OTLP."""

STATUS_ERROR = 2
"""`Status.StatusCode.STATUS_CODE_ERROR` of OTLP."""


class TraceFileError(ValueError):
    """The file holds no readable trace; the text names the line and what was wrong there."""


class _AnyValue(msgspec.Struct, rename="camel"):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | str | None = None
    double_value: float | str | None = None
    bytes_value: str | None = None
    array_value: "_ArrayValue | None" = None
    kvlist_value: msgspec.Raw = msgspec.Raw()


class _ArrayValue(msgspec.Struct):
    values: list[_AnyValue] | None = None


class _KeyValue(msgspec.Struct):
    key: str
    value: _AnyValue | None = None


class _Status(msgspec.Struct):
    code: int | None = None


class _Span(msgspec.Struct, rename="camel"):
    trace_id: str
    span_id: str
    start_time_unix_nano: int | str | None = None
    end_time_unix_nano: int | str | None = None
    parent_span_id: str | None = None
    name: str | None = None
    kind: int | None = None
    status: _Status | None = None
    attributes: list[_KeyValue] | None = None


class _Scope(msgspec.Struct):
    name: str | None = None


class _ScopeSpans(msgspec.Struct):
    scope: _Scope | None = None
    spans: list[_Span] | None = None


class _Resource(msgspec.Struct):
    attributes: list[_KeyValue] | None = None


class _ResourceSpans(msgspec.Struct, rename="camel"):
    resource: _Resource | None = None
    scope_spans: list[_ScopeSpans] | None = None


class Request(msgspec.Struct, rename="camel"):
    """An ExportTraceServiceRequest, or the TracesData that backends answer: both have this one field."""

    resource_spans: list[_ResourceSpans] | None = None


_DECODER = msgspec.json.Decoder(Request)

_KINDS = {kind.value: kind for kind in SpanKind}


def read_spans(lines: Iterable[bytes]) -> tuple[Span, ...]:
    """Return the spans of all lines in their order; blank lines are skipped.

    Raises TraceFileError at the first line that is no request, and where the limits are exceeded.
    """
    spans: list[Span] = []
    for number, found in walk_lines(lines):
        spans += found
        if len(spans) > MAX_SPANS:
            raise TraceFileError(f"line {number}: more than {MAX_SPANS} spans in one file")
    return tuple(spans)


def walk_lines(lines: Iterable[bytes]) -> Iterator[tuple[int, list[Span]]]:
    """Yield the number and the spans of each line that is not blank. Raises TraceFileError as `read_spans` does."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        spans: list[Span] = []
        try:
            for found in _read_line(line):
                if isinstance(found, ValueError):
                    raise found
                spans.append(found)
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
            raise TraceFileError(f"line {number}: {error}") from error
        except RecursionError as error:
            raise TraceFileError(f"line {number}: values are nested too deeply") from error
        yield number, spans


def _read_line(line: bytes) -> Iterator[Span | ValueError]:
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(f"longer than {MAX_LINE_BYTES} bytes")
    return walk_request(_DECODER.decode(line))


def walk_request(request: Request) -> Iterator[Span | ValueError]:
    """Yield each span of a request, or what is wrong with it."""
    for resource_spans in request.resource_spans or ():
        resource = _read_attributes(resource_spans.resource.attributes if resource_spans.resource else None)
        for scope_spans in resource_spans.scope_spans or ():
            scope = (scope_spans.scope.name if scope_spans.scope else None) or ""
            for span in scope_spans.spans or ():
                try:
                    yield _read_span(span, scope, resource)
                except ValueError as error:
                    yield ValueError(f"span {span.name!r:.60} {span.span_id!r:.40}: {error}")


def _read_span(span: _Span, scope: str, resource: Attributes) -> Span:
    return Span(
        trace_id=_read_id("traceId", span.trace_id, 16),
        span_id=_read_id("spanId", span.span_id, 8),
        parent_id=_read_parent(span.parent_span_id),
        name=span.name or "",
        kind=_KINDS.get(span.kind or 0, SpanKind.UNSPECIFIED),
        start_ns=_read_time("startTimeUnixNano", span.start_time_unix_nano),
        end_ns=_read_time("endTimeUnixNano", span.end_time_unix_nano),
        scope=scope,
        failed=span.status is not None and span.status.code == STATUS_ERROR,
        resource=resource,
        attributes=_read_attributes(span.attributes),
    )


def _read_id(field: str, text: str, size: int) -> bytes:
    try:
        found = bytes.fromhex(text) if text.isalnum() else b""
    except ValueError:
        found = b""
    if len(found) != size:
        raise ValueError(f"{field} is not {2 * size} hex digits: {text!r:.80}")
    if not any(found):
        raise ValueError(f"{field} is all zeros, which no id may be")
    return found


def _read_parent(text: str | None) -> bytes:
    """Return the parent's id; exporters write a root's as absent, empty or all zeros."""
    if not text or text == "0" * 16:
        return b""
    return _read_id("parentSpanId", text, 8)


def _read_time(field: str, value: int | str | None) -> int:
    if value is None:
        raise ValueError(f"{field} is missing")
    time_ns = _read_int(field, value)
    if not 0 <= time_ns <= MAX_TIME_NS:
        raise ValueError(f"{field} is not a 64-bit time: {time_ns}")
    return time_ns


def _read_int(field: str, value: int | str) -> int:
    if isinstance(value, int):
        return value
    digits = value.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= len(str(MAX_TIME_NS))):
        raise ValueError(f"{field} is not a 64-bit integer: {value!r:.80}")
    return int(value)


def _read_attributes(items: list[_KeyValue] | None) -> dict[str, AttributeValue]:
    return {item.key: _read_value(item.key, item.value) for item in items or () if item.value is not None}


def _read_value(key: str, value: _AnyValue) -> AttributeValue:
    if value.int_value is not None:
        return _read_int(key, value.int_value)
    if value.bytes_value is not None:
        try:
            return base64.b64decode(value.bytes_value, validate=True)
        except binascii.Error as error:
            raise ValueError(f"{key} is not base64") from error
    if value.array_value is not None:
        return tuple(str(_read_value(key, item)) for item in value.array_value.values or ())
    if bytes(value.kvlist_value) not in (b"", b"null"):
        return bytes(value.kvlist_value).decode()
    plain = (value.string_value, value.bool_value, value.double_value)
    return next((found for found in plain if found is not None), "")
