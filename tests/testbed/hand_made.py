"""OTLP requests made by hand, as no SDK of today writes them and any of tomorrow may: each byte must arrive.

Fields in descending order, unknown fields, lengths longer than need be, several ResourceSpans, empty ones.
"""

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

SPANS = 5
"""In each ResourceSpans that has any."""


def _write_varint(value: int, size: int = 0) -> bytes:
    """Return a varint of at least `size` bytes: protobuf lets it be longer than need be."""
    groups: list[int] = []
    while value or not groups or len(groups) < size:
        groups.append(value & 0x7F)
        value >>= 7
    return bytes(group | 0x80 for group in groups[:-1]) + bytes(groups[-1:])


def _write_field(number: int, value: bytes, size: int = 0) -> bytes:
    return _write_varint(number << 3 | 2) + _write_varint(len(value), size) + value


def _write_resource(service: str) -> bytes:
    pair = KeyValue(key="service.name", value=AnyValue(string_value=service))
    # Field 15 is none of OTLP's, nor is 2047, whose tag has two bytes.
    return _write_field(2047, b"unknown") + _write_field(1, pair.SerializeToString()) + _write_field(15, b"\x00\xff")


def _write_spans(number: int) -> bytes:
    """Return a ScopeSpans, schema URL first and scope last."""
    spans = b"".join(
        _write_field(
            2,
            _write_field(1000, b"\x80\x80")
            + Span(
                trace_id=bytes([number]) * 16,
                span_id=bytes([number, index, 1, 1, 1, 1, 1, 1]),
                name=f"made by hand {index}",
                kind=Span.SPAN_KIND_SERVER,
                start_time_unix_nano=10**18,
                end_time_unix_nano=10**18 + 1,
            ).SerializeToString(),
            size=3,
        )
        for index in range(SPANS)
    )
    return _write_field(3, b"https://example.com/schema") + spans + _write_field(1, _write_field(1, b"by.hand"))


def _write_group(number: int) -> bytes:
    """Return a ResourceSpans: schema URL, an unknown fixed64, the spans, the resource."""
    return (
        _write_field(3, b"https://example.com/schema")
        + _write_varint(900 << 3 | 1)
        + bytes(range(8))
        + _write_field(2, _write_spans(number), size=4)
        + _write_field(1, _write_resource(f"by-hand-{number}"), size=5)
    )


_EMPTY = b""
_ONLY_RESOURCE = _write_field(1, _write_resource("nothing"))
_WITHOUT_RESOURCE = _write_field(2, _write_spans(4))

_REQUESTS = ((_write_group(1), _EMPTY, _write_group(2)), (_ONLY_RESOURCE,), (_write_group(3), _WITHOUT_RESOURCE))

HAND_MADE = tuple(b"".join(_write_field(1, group) for group in groups) for groups in _REQUESTS)
HAND_MADE_SPANS = 4 * SPANS
