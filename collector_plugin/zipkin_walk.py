"""Reads from a Zipkin v2 JSON array what parents need; the array is passed on as it came.

Pure. Only these fields are decoded, all else is skipped: tags, annotations and names are the backend's to judge. What
Zipkin refuses in those fields is refused with WireError, but for capitals in ids, which others take. Format:
zipkin2-api.yaml, and V2SpanReader.java for what a server takes beyond it.
"""

import binascii
import re

import msgspec

from collector_plugin import otlp_walk
from collector_plugin.json_input import Allowance, decode_json
from collector_plugin.otlp_walk import OWN_SCOPE, ApplicationSpans, TooManySpansError
from collector_plugin.packed_spans import pack_spans
from collector_plugin.span_peers import pack_address
from collector_plugin.span_walk import SPAN_KIND_CLIENT, SPAN_KIND_PRODUCER, SpanTimes
from collector_plugin.zipkin_micros import MAX_NS, NS_PER_US, Micros, read_micros
from collector_plugin.zipkin_resource import encode_resource
from hopspan.protowire import WireError

KINDS: dict[str | None, int] = {
    "CLIENT": SPAN_KIND_CLIENT,
    "SERVER": 2,
    "PRODUCER": SPAN_KIND_PRODUCER,
    "CONSUMER": 5,
}
"""Zipkin's kinds as OTLP's numbers; without one a span is local."""

TRACE_DIGITS, SPAN_DIGITS = 32, 16
_KEY_BYTES = 24
_LARGEST_OF_NO_TRACE = bytes(16) + b"\xff" * 8
"""No trace id but zeros makes a key that is less or the same."""
_NO_SPAN = bytes(8)
_ADDRESS_LENGTH = 64
"""Of the text; with a zone it may be longer than the 45 that the digits take."""
_WAITING = frozenset((SPAN_KIND_CLIENT, SPAN_KIND_PRODUCER))
_HEX = re.compile("[0-9a-fA-F]+")


MIN_SPAN_BYTES = len('{"id":"1","traceId":"1"},')
"""No span is shorter."""


class ZipkinWalk(msgspec.Struct, frozen=True):
    """What an array holds."""

    span_count: int
    application: list[ApplicationSpans]
    """By service, in the order in which they occur."""


class _Local(msgspec.Struct, gc=False, rename="camel"):
    service_name: str | None = None


class _Remote(msgspec.Struct, gc=False):
    ipv4: str | None = None
    ipv6: str | None = None


class _Tags(msgspec.Struct, gc=False):
    scope: str | int | float | bool | None = msgspec.field(default=None, name="otel.scope.name")


class _Span(msgspec.Struct, gc=False, rename="camel"):
    trace_id: str
    id: str
    kind: str | None = None
    timestamp: Micros = None
    duration: Micros = None
    local_endpoint: _Local | None = None
    remote_endpoint: _Remote | None = None
    tags: _Tags | None = None
    shared: bool | None = None


class _Group(msgspec.Struct, gc=False):
    """The spans of one service that can be parents, and the addresses that they say they called."""

    spans: list[SpanTimes] = []
    peers: dict[bytes, bytes] = {}


_allowance = Allowance()


class _CountedSpan(_Span, gc=False, rename="camel"):
    def __post_init__(self) -> None:
        _allowance.take()


_DECODER = msgspec.json.Decoder(list[_Span])
_COUNTING_DECODER = msgspec.json.Decoder(list[_CountedSpan])


def walk_zipkin(data: bytes) -> ZipkinWalk:
    """Return what the JSON array `data` holds; nothing at all holds no spans, as a Zipkin server has it.

    Raises WireError for what is no array of spans, TooManySpansError for more than otlp_walk.MAX_SPANS. No parents
    are: our own network spans; the server's half of a shared span, whose id is the client's; and spans without a time
    or a duration.
    """
    if not data:
        return ZipkinWalk(0, [])
    spans = _decode_spans(data)
    return ZipkinWalk(len(spans), _read_parents(spans))


def _decode_spans(data: bytes) -> list[_Span]:
    # Counting while they are decoded takes a third of the time again, so what cannot hold too many is spared it.
    if len(data) <= otlp_walk.MAX_SPANS * MIN_SPAN_BYTES:
        return decode_json(_DECODER, data)
    _allowance.set(otlp_walk.MAX_SPANS)
    try:
        counted = decode_json(_COUNTING_DECODER, data)
    except WireError as error:
        if _allowance.is_exceeded:
            raise TooManySpansError(f"more than {otlp_walk.MAX_SPANS} spans in one request") from error
        raise
    return [*counted]


def _read_parents(spans: list[_Span]) -> list[ApplicationSpans]:  # noqa: C901 - one flat loop is twice as fast
    groups: dict[str, _Group] = {}
    kinds, unhexlify, largest_of_no_trace, no_span = KINDS, binascii.unhexlify, _LARGEST_OF_NO_TRACE, _NO_SPAN
    for index, span in enumerate(spans):
        try:
            key = unhexlify(span.trace_id.rjust(TRACE_DIGITS, "0") + span.id.rjust(SPAN_DIGITS, "0"))
        except ValueError:
            key = b""
        if len(key) != _KEY_BYTES or key <= largest_of_no_trace or key.endswith(no_span):
            raise _explain_ids(span, index)
        start, duration = span.timestamp, span.duration
        if type(start) is not int or type(duration) is not int:
            start = read_micros(start, f"$[{index}].timestamp")
            duration = read_micros(duration, f"$[{index}].duration")
        start_ns, end_ns = start * NS_PER_US, (start + duration) * NS_PER_US
        if start <= 0 or duration <= 0 or end_ns > MAX_NS:
            continue
        kind = kinds.get(span.kind, 0)
        if span.shared and kind != SPAN_KIND_CLIENT:
            continue
        tags, local, remote = span.tags, span.local_endpoint, span.remote_endpoint
        if tags is not None and tags.scope == OWN_SCOPE:
            continue
        service = (local.service_name if local is not None else None) or ""
        group = groups.get(service)
        if group is None:
            group = groups[service] = _Group()
        group.spans.append((key, kind, start_ns, end_ns))
        if remote is not None and kind in _WAITING:
            address = _read_address(remote)
            if address:
                group.peers[key] = address
    return [
        ApplicationSpans(encode_resource(service), pack_spans(group.spans), group.peers)
        for service, group in groups.items()
    ]


def _read_address(remote: _Remote) -> bytes:
    """Return 16 bytes, IPv4 mapped; nothing for what is no address, which a server ignores too."""
    # With two addresses the span does not say which one it called: naming the wrong one would cost its hops.
    if remote.ipv4 and remote.ipv6:
        return b""
    text = remote.ipv4 or remote.ipv6
    return pack_address(text) if text and len(text) <= _ADDRESS_LENGTH else b""


def _explain_ids(span: _Span, index: int) -> WireError:
    for name, value, digits in (("traceId", span.trace_id, TRACE_DIGITS), ("id", span.id, SPAN_DIGITS)):
        if not is_id(value, digits):
            return WireError(f"$[{index}].{name} is not 1 to {digits} hex digits other than zeros")
    return WireError(f"$[{index}] has no lawful ids")


def is_id(text: str, digits: int) -> bool:
    """Tell whether `text` is an id of at most so many digits."""
    return len(text) <= digits and _HEX.fullmatch(text) is not None and text.strip("0") != ""
