"""Walks the wire bytes of an OTLP trace request: transits are taken out, the rest is kept and read for parents.

Pure. Fields may come in any order and unknown ones are kept. Malformed bytes raise WireError, too many spans
TooManySpansError. Attributes and events are skipped, not checked: what is wrong in there is the backend's to say.
"""

import msgspec
from google.protobuf.message import DecodeError

from collector_plugin.flow_names import FlowNames, NamedFlow
from collector_plugin.found_spans import Cut, FoundSpans, cut
from collector_plugin.packed_spans import PackedSpans, pack_spans
from collector_plugin.parent_schema import all_have_attribute, parse_scope_spans
from collector_plugin.span_walk import LENGTH_TAGS, ONE_BYTE, Field, walk_spans
from hopspan.protowire import LENGTH, WireError, read_fields, read_varint, write_length
from node_probe.wire_batch import RECORD_KEY, SCOPE

MAX_SPANS = 100_000
"""Spans in one request. An SDK's span has 150 bytes or more, so the receiver's 16 MiB hold about as many; without the
bound 16 MiB of empty spans would be eight million."""

MAX_FIELDS = 4 * MAX_SPANS
"""Fields around the spans: resources, scopes, and what stands beside them. An empty one takes two bytes and a
microsecond: without the bound 16 MiB of them would keep everybody else waiting for ten seconds."""

MAX_WHOLE_BYTES = 2 * MAX_SPANS
"""Of a ScopeSpans that the library reads at once. As an empty span takes two, no more than may be can be in it."""

CHUNK_SPANS = 256
"""Spans handed to the library at once of a larger one: it takes many times the wire's bytes for empty ones."""

MAX_SCOPE_FIELDS = 1_000
"""Fields of one scope: its name, its version and its attributes."""

OWN_SCOPE = "hopspan"
"""The scope of network spans. They are passed on, and never taken as input again."""

_TRANSIT_SCOPE_NAME = SCOPE.encode()
_OWN_SCOPE_NAME = OWN_SCOPE.encode()
_RECORD_KEY = RECORD_KEY.encode()

# Field numbers of opentelemetry/proto/trace/v1/trace.proto, by the message that they stand in.
_REQUEST_RESOURCE_SPANS = 1
_RESOURCE, _SCOPE_SPANS, _RESOURCE_SCHEMA_URL = 1, 2, 3
_SCOPE, _SPAN = 1, 2
_SCOPE_NAME = 1


class TooManySpansError(WireError):
    """The request has more than MAX_SPANS spans, or more than MAX_FIELDS fields around them."""


class TransitSlice(msgspec.Struct, frozen=True):
    """The transits of one ResourceSpans: the bytes of a ResourceSpans with nothing else in it, and their number."""

    resource_spans: bytes
    count: int


class ApplicationSpans(msgspec.Struct, frozen=True):
    """The spans of one ResourceSpans that can be parents."""

    resource: bytes
    """The fields `resource` and `schema_url` of the ResourceSpans, byte for byte, ready to stand in another one."""
    spans: PackedSpans
    peers: dict[bytes, bytes] = {}
    """By trace id and span id the addresses (16 bytes) that spans say they called."""


class Walk(msgspec.Struct, frozen=True):
    """What a request holds."""

    forward: bytes
    """The request without its transits; without any the very bytes that came."""
    span_count: int
    """Spans in `forward`."""
    application: list[ApplicationSpans]
    transits: list[TransitSlice]
    flows: list[NamedFlow] = []
    """What each CLIENT span says of its flow, where that is asked for."""


def walk_request(data: bytes, names: FlowNames | None = None) -> Walk:
    """Return what the ExportTraceServiceRequest `data` holds; flows where there are names for them.

    Raises WireError or TooManySpansError.
    """
    request = _RequestWalk(data, names)
    cuts: list[Cut] = []
    for number, field_start, value_start, value_end in request.read_parts(0, len(data)):
        if number == _REQUEST_RESOURCE_SPANS:
            replacement = request.walk_resource_spans(value_start, value_end)
            if replacement is not None:
                cuts.append((field_start, value_end, replacement))
    forward = cut(data, 0, len(data), cuts) if cuts else data
    return Walk(forward, request.span_count, request.application, request.transits, request.flows)


class _RequestWalk:
    """The state of one walk: what was found so far."""

    def __init__(self, data: bytes, names: FlowNames | None) -> None:
        self.application: list[ApplicationSpans] = []
        self.flows: list[NamedFlow] = []
        self._names = names
        self.transits: list[TransitSlice] = []
        self._data = data
        self._seen = self._taken = 0
        self._fields_left = MAX_FIELDS

    @property
    def span_count(self) -> int:
        """Spans that are passed on."""
        return self._seen - self._taken

    def read_parts(self, start: int, end: int) -> list[Field]:
        """Return the length-delimited fields of the message that lies there."""
        parts, self._fields_left = _read_parts(self._data, start, end, self._fields_left)
        return parts

    def walk_resource_spans(self, start: int, end: int) -> bytes | None:
        """Return what to forward in place of the field, b"" for nothing, None for the field as it is."""
        found = FoundSpans()
        parts = self.read_parts(start, end)
        resource = b"".join([self._data[p[1] : p[3]] for p in parts if p[0] in (_RESOURCE, _RESOURCE_SCHEMA_URL)])
        for part in parts:
            if part[0] == _SCOPE_SPANS:
                self._walk_scope_spans(part, found)
        if any(found.spans):
            self.application.append(ApplicationSpans(resource, found.join_spans(), found.peers))
        self.flows += found.flows
        if not found.transit_count:
            return None
        self._taken += found.transit_count
        self.transits.append(TransitSlice(b"".join([resource, *found.transits]), found.transit_count))
        is_left = len(found.cuts) < sum(part[0] == _SCOPE_SPANS for part in parts) or any(
            cut[2] for cut in found.cuts
        )
        return write_length(_REQUEST_RESOURCE_SPANS, cut(self._data, start, end, found.cuts)) if is_left else b""

    def _walk_scope_spans(self, field: Field, found: FoundSpans) -> None:
        if field[3] - field[2] <= MAX_WHOLE_BYTES and self._take_whole(field, found):
            return
        parts = self.read_parts(field[2], field[3])
        spans = [part for part in parts if part[0] == _SPAN]
        self._see(len(spans))
        name = _read_scope_name(self._data, parts)
        if name == _OWN_SCOPE_NAME:
            return
        if name == _TRANSIT_SCOPE_NAME:
            spans = found.take_transits(self._data, field, parts)
        for first in range(0, len(spans), CHUNK_SPANS):
            self._take_chunk(spans[first : first + CHUNK_SPANS], found)

    def _take_whole(self, field: Field, found: FoundSpans) -> bool:
        """Take a ScopeSpans; False where it has to be walked: for transits among others, or a fault in it."""
        _, _, start, end = field
        try:
            parsed = parse_scope_spans(self._data, start, end, self._names)
            are_transits = parsed.name == _TRANSIT_SCOPE_NAME
            # It reads attributes, too, so it may find a fault where there was none.
            if are_transits and not all_have_attribute(self._data, start, end, _RECORD_KEY):
                return False
        except DecodeError:
            return False
        self._see(parsed.count)
        if are_transits:
            found.take_all(self._data, field, parsed.count)
        elif parsed.name != _OWN_SCOPE_NAME:
            found.take_parsed(parsed)
        return True

    def _take_chunk(self, spans: list[Field], found: FoundSpans) -> None:
        """Take some spans of a large ScopeSpans. Each is read by itself where the library refuses them together."""
        start, end = spans[0][1], spans[-1][3]
        data = self._data
        if sum(span[3] - span[1] for span in spans) != end - start:
            data = b"".join([data[span[1] : span[3]] for span in spans])
            start, end = 0, len(data)
        try:
            found.take_parsed(parse_scope_spans(data, start, end, self._names))
        except DecodeError:
            found.spans.append(pack_spans(walk_spans(self._data, spans)))

    def _see(self, spans: int) -> None:
        self._seen += spans
        if self._seen > MAX_SPANS:
            raise TooManySpansError(f"more than {MAX_SPANS} spans in one request")


def _read_parts(data: bytes, start: int, end: int, limit: int) -> tuple[list[Field], int]:
    """Return the length-delimited fields of the message in `data[start:end]`, and what is left of `limit` fields."""
    parts: list[Field] = []
    position = start
    while position < end:
        if limit == 0:
            raise TooManySpansError(f"more than {MAX_FIELDS} fields around the spans of one request")
        limit -= 1
        # Nearly every field here is a span: a tag of one byte and a length of one or two. The rest goes the long way.
        tag, field_start = data[position], position
        if tag not in LENGTH_TAGS or position + 2 >= end:
            number, wire_type, _, value_start, position = next(read_fields(data, position, end))
            if wire_type == LENGTH:
                parts.append((number, field_start, value_start, position))
            continue
        length, value_start = data[position + 1], position + 2
        if length >= ONE_BYTE:
            length, value_start = read_varint(data, position + 1, end)
        position = value_start + length
        if position > end:
            raise WireError(f"field {tag >> 3} is longer than its message")
        parts.append((tag >> 3, field_start, value_start, position))
    return parts, limit


def _read_scope_name(data: bytes, parts: list[Field]) -> bytes:
    name = b""
    for number, _, scope_start, scope_end in parts:
        if number == _SCOPE:
            for inner, _, value_start, value_end in _read_parts(data, scope_start, scope_end, MAX_SCOPE_FIELDS)[0]:
                if inner == _SCOPE_NAME:
                    name = data[value_start:value_end]
    return name
