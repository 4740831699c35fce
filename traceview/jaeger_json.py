"""Turn the answers of Jaeger's APIs into spans. Pure: no IO, no clock.

`/api/v3` answers OTLP JSON under `result`, as a gRPC gateway does: one object, or several one after the other where
it streams. `/api/traces` answers the older format of Jaeger's page: `data`, an array of traces with processes, times
in microseconds, tags with types.
"""

import contextlib
from collections.abc import Iterator, Mapping

import msgspec

from traceview.ids import SPAN_ID_BYTES, TRACE_ID_BYTES, read_padded_id
from traceview.otlp_json import MAX_TIME_NS, Request, walk_request
from traceview.reading import AnswerError, Reading, collect_spans, decode_answer
from traceview.span import Attributes, AttributeValue, Span, SpanKind
from traceview.tag_values import find_scope, restore_values
from traceview.text import make_visible

NS_PER_US = 1000

_KINDS = {kind.name.lower(): kind for kind in SpanKind}


class _Error(msgspec.Struct):
    message: str | None = None
    msg: str | None = None


class _Result(Request):
    """What one object of the gateway holds: a result, or why there is none. Some versions leave the wrapper out."""

    result: Request | None = None
    error: _Error | None = None


class _Tag(msgspec.Struct):
    key: str
    value: msgspec.Raw = msgspec.Raw()
    """Not decoded before it is known to be no list of millions."""


class _Reference(msgspec.Struct):
    ref_type: str | None = msgspec.field(name="refType", default=None)
    trace_id: str | None = msgspec.field(name="traceID", default=None)
    span_id: str | None = msgspec.field(name="spanID", default=None)


class _Span(msgspec.Struct):
    trace_id: str = msgspec.field(name="traceID")
    span_id: str = msgspec.field(name="spanID")
    start_time: int = msgspec.field(name="startTime")
    name: str | None = msgspec.field(name="operationName", default=None)
    duration: int | None = None
    process_id: str | None = msgspec.field(name="processID", default=None)
    references: list[_Reference] | None = None
    tags: list[_Tag] | None = None


class _Process(msgspec.Struct):
    service_name: str | None = msgspec.field(name="serviceName", default=None)
    tags: list[_Tag] | None = None


class _Trace(msgspec.Struct):
    spans: list[_Span] | None = None
    processes: dict[str, _Process] | None = None


class _Traces(msgspec.Struct):
    data: list[_Trace] | None
    errors: list[_Error] | None = None


class _Errors(msgspec.Struct):
    error: _Error | None = None
    errors: list[_Error] | None = None


_ERRORS = msgspec.json.Decoder(_Errors)
_SCALAR: msgspec.json.Decoder[str | bool | int | float] = msgspec.json.Decoder(str | bool | int | float)
_RESULT = msgspec.json.Decoder(_Result)
_RESULTS = msgspec.json.Decoder(list[_Result])
_TRACES = msgspec.json.Decoder(_Traces)


def read_jaeger_v3(body: bytes) -> Reading:
    """Return the spans of an answer of `/api/v3/traces` or `/api/v3/traces/{id}`. Raises AnswerError."""
    results = _decode_results(body)
    for result in results:
        if result.error is not None:
            raise AnswerError(f"it says {_name_error(result.error)!r}")
    return collect_spans(found for result in results for found in walk_request(result.result or result))


def _decode_results(body: bytes) -> list[_Result]:
    try:
        return [decode_answer(_RESULT, body)]
    except AnswerError:
        # Perhaps a stream of objects, a line each; what is none either has its fault told as one object.
        lines = [line for line in body.splitlines() if line]
        with contextlib.suppress(AnswerError):
            if len(lines) > 1:
                return decode_answer(_RESULTS, b"[" + b",".join(lines) + b"]")
        raise


def read_jaeger_v1(body: bytes) -> Reading:
    """Return the spans of an answer of `/api/traces` or `/api/traces/{id}`. Raises AnswerError."""
    traces = decode_answer(_TRACES, body)
    if traces.errors and not traces.data:
        raise AnswerError(f"it says {_name_error(traces.errors[0])!r}")
    return collect_spans(found for trace in traces.data or () for found in _walk_trace(trace))


def read_jaeger_error(body: bytes) -> str:
    """Return what an answer with an error status says, "" where it says nothing in Jaeger's ways."""
    try:
        found = decode_answer(_ERRORS, body)
    except AnswerError:
        return ""
    errors = [found.error] if found.error is not None else found.errors or []
    return _name_error(errors[0]) if errors else ""


def _name_error(error: _Error) -> str:
    return make_visible(error.message or error.msg or "an error without a text")


def _walk_trace(trace: _Trace) -> Iterator[Span | ValueError]:
    processes = {key: _read_process(process) for key, process in (trace.processes or {}).items()}
    for span in trace.spans or ():
        try:
            yield _read_span(span, processes)
        except ValueError as error:
            yield ValueError(f"span {span.name!r:.60} {span.span_id!r:.40}: {error}")


def _read_process(process: _Process) -> Attributes:
    named = {"service.name": process.service_name} if process.service_name else {}
    return _read_tags(process.tags) | named


def _read_span(span: _Span, processes: Mapping[str, Attributes]) -> Span:
    tags = _read_tags(span.tags)
    start_ns = span.start_time * NS_PER_US
    end_ns = start_ns + (span.duration or 0) * NS_PER_US
    if not 0 <= start_ns <= end_ns <= MAX_TIME_NS:
        raise ValueError(f"startTime or duration is no time: {span.start_time}, {span.duration}")
    return Span(
        trace_id=read_padded_id("traceID", span.trace_id, TRACE_ID_BYTES),
        span_id=read_padded_id("spanID", span.span_id, SPAN_ID_BYTES),
        parent_id=_find_parent(span),
        name=span.name or "",
        kind=_KINDS.get(str(tags.get("span.kind", "internal")), SpanKind.UNSPECIFIED),
        start_ns=start_ns,
        end_ns=end_ns,
        scope=find_scope(tags),
        failed=tags.get("error") in (True, "true") or tags.get("otel.status_code") == "ERROR",
        resource=processes.get(span.process_id or "", {}),
        attributes=restore_values(tags),
    )


def _find_parent(span: _Span) -> bytes:
    """Return the span that it is a child of, else the first that it follows from; those of other traces are links."""
    inside = [found for found in span.references or () if found.trace_id == span.trace_id and found.span_id]
    inside.sort(key=lambda found: found.ref_type != "CHILD_OF")
    return read_padded_id("references", inside[0].span_id or "", SPAN_ID_BYTES) if inside else b""


def _read_tags(tags: list[_Tag] | None) -> dict[str, AttributeValue]:
    return {tag.key: _read_value(tag.value) for tag in tags or () if bytes(tag.value) not in (b"", b"null")}


def _read_value(value: msgspec.Raw) -> AttributeValue:
    try:
        return _SCALAR.decode(value)
    except msgspec.MsgspecError:
        return bytes(value).decode()
