"""A Zipkin v2 JSON array to an OTLP request, the way back of otlp_to_zipkin.

Pure. As the Collector's zipkin receiver does it but for two things: all tags stay with their span, so that network
spans have the very resource of their parents; and what is not in the form expected stays a tag instead of failing.
The array is one that zipkin_walk took. What OTLP cannot carry is listed in docs/zipkin.md.
"""

import binascii
from collections.abc import Mapping

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from collector_plugin.json_input import Allowance, decode_json
from collector_plugin.otlp_to_zipkin import (
    DROPPED_EVENTS,
    DROPPED_LINKS,
    ERROR,
    LINK,
    SCOPE_NAME,
    SCOPE_VERSION,
    STATUS_CODE,
    STATUS_DESCRIPTION,
    TRACE_STATE,
)
from collector_plugin.zipkin_endpoints import list_attributes
from collector_plugin.zipkin_events import DROPPED_ATTRIBUTES, read_count, read_event, read_link
from collector_plugin.zipkin_micros import NS_PER_US, Micros, read_micros, to_ns
from collector_plugin.zipkin_resource import encode_resource
from collector_plugin.zipkin_values import from_scalar, write_json
from collector_plugin.zipkin_walk import KINDS, SPAN_DIGITS, TRACE_DIGITS, is_id
from hopspan.protowire import WireError

MAX_LINKS = 128
"""Tags of one span that are read as links, as in the Collector."""

MAX_TAGS = 10_000
"""Tags of one span, and annotations: SDKs stop at 128, and a megabyte of small ones makes eighty of objects."""

_OLD_SCOPE = {SCOPE_NAME: "otel.library.name", SCOPE_VERSION: "otel.library.version"}
"""How older writers call the scope; the Collector writes both."""

_CODES = {
    "OK": Status.STATUS_CODE_OK,
    "STATUS_CODE_OK": Status.STATUS_CODE_OK,
    "ERROR": Status.STATUS_CODE_ERROR,
    "STATUS_CODE_ERROR": Status.STATUS_CODE_ERROR,
}
"""The specification's names, and those that older Collectors write."""

SPAN_KIND = "span.kind"
"""A tag of the Collector on spans of kind INTERNAL."""

_MAX_PORT = 65535

_Scalar = str | int | float | bool | None
"""A text; writers that do not keep to the format write numbers too."""


class _Endpoint(msgspec.Struct, gc=False, rename="camel"):
    service_name: str | None = None
    ipv4: str | None = None
    ipv6: str | None = None
    port: Micros = None

    def list_fields(self, where: str) -> dict[str, str | int]:
        port = read_micros(self.port, f"{where}.port")
        fields = {"serviceName": self.service_name, "ipv4": self.ipv4, "ipv6": self.ipv6}
        known: dict[str, str | int] = {key: text for key, text in fields.items() if text}
        return {**known, "port": port} if 0 < port <= _MAX_PORT else known


_allowance = Allowance()


class _Annotation(msgspec.Struct, gc=False):
    timestamp: Micros = None
    value: _Scalar = None

    def __post_init__(self) -> None:
        _allowance.take()


class _Span(msgspec.Struct, gc=False, rename="camel"):
    trace_id: str
    id: str
    parent_id: str | None = None
    kind: str | None = None
    name: str | None = None
    timestamp: Micros = None
    duration: Micros = None
    local_endpoint: _Endpoint | None = None
    remote_endpoint: _Endpoint | None = None
    annotations: list[_Annotation] | None = None
    tags: dict[str, _Scalar] | None = None


_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_SPAN = msgspec.json.Decoder(_Span)
_NO_ENDPOINT = _Endpoint()


def convert_to_otlp(data: bytes) -> bytes:
    """Return the JSON array `data` as an ExportTraceServiceRequest. Raises WireError, which says what was wrong."""
    request = _Request()
    spans = decode_json(_LIST, data) if data else []
    # One after the other: a span's objects take several times its bytes.
    for index, raw in enumerate(spans):
        _allowance.set(MAX_TAGS)
        try:
            request.add(_SPAN.decode(raw), f"$[{index}]")
        except (msgspec.DecodeError, RecursionError) as error:
            raise WireError(f"$[{index}]: {error}") from error
    return b"".join(group.SerializeToString() for group in request.groups.values())


class _Request:
    """Spans by service and scope, each in the order in which they occur."""

    def __init__(self) -> None:
        self.groups: dict[str, ExportTraceServiceRequest] = {}
        self._scopes: dict[tuple[str, str, str], ScopeSpans] = {}

    def add(self, span: _Span, where: str) -> None:
        if span.tags and len(span.tags) > MAX_TAGS:
            raise WireError(f"{where} has more than {MAX_TAGS} tags")
        tags = {key: _write_scalar(value) for key, value in (span.tags or {}).items() if value is not None}
        name, version = (tags.pop(key, "") or tags.pop(_OLD_SCOPE[key], "") for key in (SCOPE_NAME, SCOPE_VERSION))
        service = (span.local_endpoint or _NO_ENDPOINT).service_name or ""
        scope = self._scopes.get((service, name, version))
        if scope is None:
            scope = self._scopes[service, name, version] = self._find_group(service).scope_spans.add()
            if name or version:
                scope.scope.name, scope.scope.version = name, version
        scope.spans.append(_convert_span(span, tags, where))

    def _find_group(self, service: str) -> ResourceSpans:
        group = self.groups.get(service)
        if group is None:
            group = self.groups[service] = ExportTraceServiceRequest()
            group.resource_spans.append(ResourceSpans.FromString(encode_resource(service)))
        return group.resource_spans[0]


def _write_scalar(value: _Scalar) -> str:
    return value if isinstance(value, str) else write_json(value)


def _convert_span(span: _Span, tags: dict[str, str], where: str) -> Span:
    """Return the OTLP span; what is a field there is taken out of `tags`."""
    start_ns = to_ns(read_micros(span.timestamp, f"{where}.timestamp"))
    duration_ns = to_ns(read_micros(span.duration, f"{where}.duration"))
    status = _take_status(tags)
    converted = Span(
        trace_id=_read_id(span.trace_id, TRACE_DIGITS, f"{where}.traceId"),
        span_id=_read_id(span.id, SPAN_DIGITS, f"{where}.id"),
        parent_span_id=_read_parent(span, where),
        trace_state=tags.pop(TRACE_STATE, ""),
        name=span.name or "",
        kind=Span.SpanKind.ValueType(KINDS.get(span.kind, Span.SPAN_KIND_INTERNAL)),
        start_time_unix_nano=start_ns,
        # A sum beyond 64 bits has no end that could be told.
        end_time_unix_nano=to_ns((start_ns + duration_ns) // NS_PER_US) or start_ns,
        dropped_attributes_count=_take_count(tags, DROPPED_ATTRIBUTES),
        dropped_events_count=_take_count(tags, DROPPED_EVENTS),
        dropped_links_count=_take_count(tags, DROPPED_LINKS),
        links=_take_links(tags),
        events=[_convert_annotation(annotation, where) for annotation in span.annotations or ()],
    )
    if not span.kind and tags.get(SPAN_KIND) == "internal":
        del tags[SPAN_KIND]
    converted.attributes.extend(_list_attributes(span, tags, where))
    if status is not None:
        converted.status.CopyFrom(status)
    return converted


def _read_id(text: str, digits: int, where: str) -> bytes:
    if not is_id(text, digits):
        raise WireError(f"{where} is not 1 to {digits} hex digits other than zeros")
    return binascii.unhexlify(text.rjust(digits, "0"))


def _read_parent(span: _Span, where: str) -> bytes:
    # A server takes zeros for no parent, and a span for no parent of itself.
    if not span.parent_id or not span.parent_id.strip("0"):
        return b""
    parent_id = _read_id(span.parent_id, SPAN_DIGITS, f"{where}.parentId")
    return b"" if parent_id == _read_id(span.id, SPAN_DIGITS, f"{where}.id") else parent_id


def _convert_annotation(annotation: _Annotation, where: str) -> Span.Event:
    time_ns = to_ns(read_micros(annotation.timestamp, f"{where}.annotations"))
    return read_event(time_ns, "" if annotation.value is None else _write_scalar(annotation.value))


def _list_attributes(span: _Span, tags: Mapping[str, str], where: str) -> list[KeyValue]:
    local, remote = span.local_endpoint or _NO_ENDPOINT, span.remote_endpoint or _NO_ENDPOINT
    endpoints = list_attributes(
        local.list_fields(f"{where}.localEndpoint"), remote.list_fields(f"{where}.remoteEndpoint")
    )
    # A tag of that name says it explicitly, and no key may occur twice.
    merged: dict[str, str | int] = {**dict(endpoints), **tags}
    return [KeyValue(key=key, value=from_scalar(value)) for key, value in merged.items()]


def _take_status(tags: dict[str, str]) -> Status | None:
    """Return the status: any span with the tag `error` failed, unless it says that it did not."""
    code = _CODES.get(tags.get(STATUS_CODE, ""))
    error = tags.get(ERROR)
    if code is None and (error is None or error == "false"):
        return None
    if code is not None:
        del tags[STATUS_CODE]
    else:
        code = Status.STATUS_CODE_ERROR
    message = tags.pop(STATUS_DESCRIPTION, "")
    if code == Status.STATUS_CODE_ERROR and error is not None:
        message = message or ("" if error == "true" else error)
        if error in ("true", "", message):
            del tags[ERROR]
    return Status(code=code, message=message)


def _take_count(tags: dict[str, str], key: str) -> int:
    try:
        count = read_count(tags.get(key, ""))
    except ValueError:
        return 0
    del tags[key]
    return count


def _take_links(tags: dict[str, str]) -> list[Span.Link]:
    links: list[Span.Link] = []
    for index in range(MAX_LINKS):
        value = tags.get(f"{LINK}{index}")
        link = None if value is None else read_link(value)
        if link is None:
            break
        del tags[f"{LINK}{index}"]
        links.append(link)
    return links
