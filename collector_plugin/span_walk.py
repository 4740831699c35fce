"""Reads from the wire bytes of one OTLP span what a parent needs: ids, kind and times.

Pure. Fields in any order, the last of a kind counts, as protobuf has it. Malformed bytes raise WireError; a group
inside a span, which OTLP never had, may pass.
"""

import itertools

from hopspan.protowire import LENGTH, WireError, read_fields, read_varint

Field = tuple[int, int, int, int]
"""Field number, field start, value start, value end; of length-delimited fields only."""

SpanTimes = tuple[bytes, int, int, int]
"""Trace id and span id in one (24 bytes), kind, start and end in epoch nanoseconds. A tuple: there are many."""

MAX_SPAN_FIELDS = 10_000
"""Fields of one span that are walked. SDKs stop at 128 attributes, events and links each; a megabyte of empty fields
would take a second."""

SPAN_KIND_CLIENT = 3
SPAN_KIND_PRODUCER = 4

# Tags of opentelemetry.proto.trace.v1.Span as single bytes: number << 3 | wire type.
_TRACE_ID, _SPAN_ID, _KIND, _START, _END, _ATTRIBUTE = 0x0A, 0x12, 0x30, 0x39, 0x41, 0x4A

LENGTH_TAGS = frozenset(number << 3 | LENGTH for number in range(1, 16))
"""Single-byte tags of length-delimited fields."""

ONE_BYTE = 0x80
"""Below it a varint is one byte."""

TRACE_ID_BYTES, SPAN_ID_BYTES = 16, 8
ZERO_TRACE_ID, ZERO_SPAN_ID = bytes(TRACE_ID_BYTES), bytes(SPAN_ID_BYTES)

LEFT_BYTES = TRACE_ID_BYTES // 2
"""The trace id's left half, which a sender may leave out: it is then zero."""

NO_LEFT = bytes(LEFT_BYTES)


def walk_spans(data: bytes, fields: list[Field]) -> list[SpanTimes]:
    """Return the spans of any fields `spans`, read from the wire alone."""
    read = (read_span(data, value_start, value_end) for _, _, value_start, value_end in fields)
    return [span for span in read if span is not None]


def are_lawful(trace_id: bytes, span_id: bytes) -> bool:
    """Tell whether ids are 16 and 8 bytes, and not all zero."""
    return (
        len(trace_id) == TRACE_ID_BYTES
        and len(span_id) == SPAN_ID_BYTES
        and trace_id != ZERO_TRACE_ID
        and span_id != ZERO_SPAN_ID
    )


def read_span(data: bytes, start: int, end: int) -> SpanTimes | None:
    """Return the span in `data[start:end]`, None where its ids are not 16 and 8 bytes or all zero."""
    try:
        return _read_span(data, start, end)
    except IndexError as error:
        raise WireError("span is cut short") from error


def _read_span(data: bytes, position: int, end: int) -> SpanTimes | None:  # noqa: C901, PLR0912 - see below
    # One flat loop instead of read_fields, in a third of the time.
    # Each value may lie beyond `end` until the check behind the loop, which then refuses all of it.
    trace_id = span_id = b""
    kind = start_ns = end_ns = fields = 0
    while position < end:
        fields += 1
        if fields > MAX_SPAN_FIELDS:
            raise WireError(f"span has more than {MAX_SPAN_FIELDS} fields")
        tag = data[position]
        if tag == _ATTRIBUTE:
            length = data[position + 1]
            if length < ONE_BYTE:
                position += 2 + length
            else:
                length, position = read_varint(data, position + 1, end)
                position += length
        elif tag == _START:
            position += 9
            start_ns = int.from_bytes(data[position - 8 : position], "little")
        elif tag == _END:
            position += 9
            end_ns = int.from_bytes(data[position - 8 : position], "little")
        elif tag in LENGTH_TAGS:
            length, value_start = data[position + 1], position + 2
            if length >= ONE_BYTE:
                length, value_start = read_varint(data, position + 1, end)
            position = value_start + length
            if tag == _TRACE_ID:
                trace_id = data[value_start:position]
            elif tag == _SPAN_ID:
                span_id = data[value_start:position]
        elif tag == _KIND:
            kind, position = read_varint(data, position + 1, end)
        else:
            position = _skip_field(data, position, end)
    if position != end:
        raise WireError("span is longer than its field")
    return (trace_id + span_id, kind, start_ns, end_ns) if are_lawful(trace_id, span_id) else None


def _skip_field(data: bytes, position: int, end: int) -> int:
    """Return the position behind the field at `position`."""
    _, _, _, _, value_end = next(read_fields(data, position, end))
    return value_end


def has_attribute(data: bytes, start: int, end: int, wanted: bytes) -> bool:
    """Tell whether the span in `data[start:end]` has an attribute with the key `wanted`."""
    fields = itertools.islice(read_fields(data, start, end), MAX_SPAN_FIELDS)
    for number, wire_type, _, value_start, value_end in fields:
        if number == _ATTRIBUTE >> 3 and wire_type == LENGTH and _read_key(data, value_start, value_end) == wanted:
            return True
    return False


def _read_key(data: bytes, start: int, end: int) -> bytes:
    key = b""
    for number, wire_type, _, value_start, value_end in read_fields(data, start, end):
        if number == 1 and wire_type == LENGTH:
            key = data[value_start:value_end]
    return key
