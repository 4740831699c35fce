"""Zipkin's protobuf, a ListOfSpans, to the JSON array of the same spans.

Pure. Format: https://github.com/openzipkin/zipkin-api/blob/master/zipkin.proto, proto3: fields in any order, unknown
ones ignored, the last of a kind counts, and what has its default is absent. Nothing is lost but unknown fields.
"""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

from collector_plugin import otlp_walk
from collector_plugin.otlp_walk import TooManySpansError
from collector_plugin.zipkin_merge import encode_array
from hopspan.protowire import FIXED64, LENGTH, VARINT, WireError, read_fields, read_varint

FREE_FIELDS = 100_000
MIN_FIELD_BYTES = 4
"""A tag with key and value is three fields of some twenty bytes. An empty field is two bytes and costs a microsecond,
so no more fields are read than these: 16 MiB of them would take ten seconds."""

_MAX_PORT = 65535
_MAX_INT64 = (1 << 63) - 1
_IPV4_BYTES, _IPV6_BYTES = 4, 16

Value = str | int | bool | dict[str, "Value"] | list["Value"]
"""A JSON value."""

_Found = dict[str, Value]
_Read = Callable[["_Reader", int, int, Value | None], Value]
_Table = dict[tuple[int, int], tuple[str, _Read]]
"""By field number and wire type the name in JSON and what reads it. With another wire type a field is unknown."""


def read_list_of_spans(data: bytes) -> bytes:
    """Return the spans of the ListOfSpans `data` as a JSON array.

    Raises WireError for malformed bytes, wrong ids and text that is not UTF-8; TooManySpansError for more than
    otlp_walk.MAX_SPANS, or more fields than so many bytes lawfully hold.
    """
    found = _Reader(data).read_message(0, len(data), _LIST)
    spans = found.get("spans")
    return encode_array(spans if isinstance(spans, list) else [])


class _Reader:
    """The state of one reading: how many fields more may come."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._fields_left = FREE_FIELDS + len(data) // MIN_FIELD_BYTES

    def read_message(self, start: int, end: int, table: _Table) -> _Found:
        """Return the fields that the table has."""
        found: _Found = {}
        for number, wire_type, _, value_start, value_end in read_fields(self.data, start, end):
            self._fields_left -= 1
            if self._fields_left < 0:
                raise TooManySpansError(f"too many fields for {len(self.data)} bytes")
            entry = table.get((number, wire_type))
            if entry is not None:
                name, read = entry
                found[name] = read(self, value_start, value_end, found.get(name))
        return found


def _read_spans(reader: _Reader, start: int, end: int, former: Value | None) -> Value:
    spans = former if isinstance(former, list) else []
    if len(spans) == otlp_walk.MAX_SPANS:
        raise TooManySpansError(f"more than {otlp_walk.MAX_SPANS} spans in one request")
    span = reader.read_message(start, end, _SPAN)
    if not span.get("traceId") or not span.get("id"):
        raise WireError(f"span {len(spans)} has no traceId or no id, or it is zeros")
    # What has its default is absent in proto3, and need not be in JSON.
    spans.append({name: value for name, value in span.items() if value})
    return spans


def _read_trace_id(reader: _Reader, start: int, end: int, _former: Value | None) -> Value:
    return _write_id(reader.data[start:end], (8, 16))


def _read_span_id(reader: _Reader, start: int, end: int, _former: Value | None) -> Value:
    return _write_id(reader.data[start:end], (8,))


def _write_id(data: bytes, lengths: tuple[int, ...]) -> str:
    if data and len(data) not in lengths:
        raise WireError(f"an id has {len(data)} bytes")
    return data.hex() if any(data) else ""


def _read_text(reader: _Reader, start: int, end: int, _former: Value | None) -> Value:
    try:
        return reader.data[start:end].decode()
    except UnicodeDecodeError as error:
        raise WireError("a text is not UTF-8") from error


def _read_timestamp(reader: _Reader, start: int, end: int, _former: Value | None) -> Value:
    return _drop_negative(int.from_bytes(reader.data[start:end], "little"))


def _read_duration(reader: _Reader, start: int, end: int, _former: Value | None) -> Value:
    return _drop_negative(read_varint(reader.data, start, end)[0])


def _drop_negative(value: int) -> int:
    # To a server the highest bit is a sign, and what is negative is absent; in JSON it would refuse such a number.
    return value if value <= _MAX_INT64 else 0


def _read_flag(reader: _Reader, start: int, end: int, _former: Value | None) -> Value:
    return read_varint(reader.data, start, end)[0] != 0


def _read_kind(reader: _Reader, start: int, end: int, _former: Value | None) -> Value:
    return _KINDS.get(read_varint(reader.data, start, end)[0], "")


def _read_port(reader: _Reader, start: int, end: int, _former: Value | None) -> Value:
    port = read_varint(reader.data, start, end)[0]
    return port if port <= _MAX_PORT else 0


def _read_ipv4(reader: _Reader, start: int, end: int, _former: Value | None) -> Value:
    # A server passes over an address of another length.
    return str(IPv4Address(reader.data[start:end])) if end - start == _IPV4_BYTES else ""


def _read_ipv6(reader: _Reader, start: int, end: int, _former: Value | None) -> Value:
    return str(IPv6Address(reader.data[start:end])) if end - start == _IPV6_BYTES else ""


def _read_endpoint(reader: _Reader, start: int, end: int, former: Value | None) -> Value:
    # Of a message that comes twice, protobuf unites the fields.
    fields = {**(former if isinstance(former, dict) else {}), **reader.read_message(start, end, _ENDPOINT)}
    return {name: value for name, value in fields.items() if value}


def _read_annotations(reader: _Reader, start: int, end: int, former: Value | None) -> Value:
    annotations = former if isinstance(former, list) else []
    annotations.append({"timestamp": 0, "value": "", **reader.read_message(start, end, _ANNOTATION)})
    return annotations


def _read_tags(reader: _Reader, start: int, end: int, former: Value | None) -> Value:
    tags = former if isinstance(former, dict) else {}
    entry = reader.read_message(start, end, _TAG)
    tags[str(entry.get("key", ""))] = entry.get("value", "")
    return tags


_KINDS = {1: "CLIENT", 2: "SERVER", 3: "PRODUCER", 4: "CONSUMER"}

_LIST: _Table = {(1, LENGTH): ("spans", _read_spans)}
_SPAN: _Table = {
    (1, LENGTH): ("traceId", _read_trace_id),
    (2, LENGTH): ("parentId", _read_span_id),
    (3, LENGTH): ("id", _read_span_id),
    (4, VARINT): ("kind", _read_kind),
    (5, LENGTH): ("name", _read_text),
    (6, FIXED64): ("timestamp", _read_timestamp),
    (7, VARINT): ("duration", _read_duration),
    (8, LENGTH): ("localEndpoint", _read_endpoint),
    (9, LENGTH): ("remoteEndpoint", _read_endpoint),
    (10, LENGTH): ("annotations", _read_annotations),
    (11, LENGTH): ("tags", _read_tags),
    (12, VARINT): ("debug", _read_flag),
    (13, VARINT): ("shared", _read_flag),
}
_ENDPOINT: _Table = {
    (1, LENGTH): ("serviceName", _read_text),
    (2, LENGTH): ("ipv4", _read_ipv4),
    (3, LENGTH): ("ipv6", _read_ipv6),
    (4, VARINT): ("port", _read_port),
}
_ANNOTATION: _Table = {(1, FIXED64): ("timestamp", _read_timestamp), (2, LENGTH): ("value", _read_text)}
_TAG: _Table = {(1, LENGTH): ("key", _read_text), (2, LENGTH): ("value", _read_text)}
