"""The protobuf wire format, read and written field by field, for messages that must keep their bytes as they came.

Pure. Format: https://protobuf.dev/programming-guides/encoding/. Groups (wire types 3 and 4), which OTLP never had,
are refused. A reader answers with values or raises WireError, and never reads beyond `end`.
"""

import struct
from collections.abc import Iterator

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5

MAX_VARINT_BYTES = 10
"""64 bits in groups of seven."""

_WIRE_BITS = 3
_MASK64 = (1 << 64) - 1
_SMALL = 0x80
_FIXED64 = struct.Struct("<Q")
_FIXED32 = struct.Struct("<I")


class WireError(ValueError):
    """The bytes are not a protobuf message; the text says what was wrong, and repeats none of them."""


def read_varint(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Return the varint at `start` (64 bits, excess bits dropped as protobuf does) and the position behind it."""
    # Lengths of spans have one or two bytes: half the time of the walk.
    if start + 2 <= end and data[start + 1] < _SMALL:
        low = data[start]
        return (low, start + 1) if low < _SMALL else ((data[start + 1] << 7) + low - _SMALL, start + 2)
    value = shift = 0
    for position in range(start, min(end, start + MAX_VARINT_BYTES)):
        byte = data[position]
        value |= (byte & 0x7F) << shift
        if byte < _SMALL:
            return value & _MASK64, position + 1
        shift += 7
    raise WireError("varint has no end")


def read_fields(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield (field number, wire type, field start, value start, value end) for each field of the message.

    `data[field start:value end]` is the whole field, tag and length included.
    """
    position = start
    while position < end:
        tag, value_start = read_varint(data, position, end)
        number, wire_type = tag >> _WIRE_BITS, tag & 7
        if not 0 < number < 1 << 29:
            raise WireError(f"field number {number}")
        if wire_type == LENGTH:
            length, value_start = read_varint(data, value_start, end)
            value_end = value_start + length
        elif wire_type == VARINT:
            _, value_end = read_varint(data, value_start, end)
        elif wire_type == FIXED64:
            value_end = value_start + 8
        elif wire_type == FIXED32:
            value_end = value_start + 4
        else:
            raise WireError(f"wire type {wire_type} in field {number}")
        if value_end > end:
            raise WireError(f"field {number} is longer than its message")
        yield number, wire_type, position, value_start, value_end
        position = value_end


def write_varint(value: int) -> bytes:
    """Return `value` (0 to 2**64 - 1) as a varint."""
    # Lengths have one or two bytes, durations in nanoseconds three: a third of the time of the loop.
    if value < _SMALL:
        return bytes((value,))
    if value < _SMALL << 7:
        return bytes((value & 0x7F | _SMALL, value >> 7))
    if value < _SMALL << 14:
        return bytes((value & 0x7F | _SMALL, value >> 7 & 0x7F | _SMALL, value >> 14))
    out = bytearray()
    while value >= _SMALL:
        out.append(value & 0x7F | _SMALL)
        value >>= 7
    out.append(value)
    return bytes(out)


def write_length(number: int, payload: bytes) -> bytes:
    """Return a length-delimited field: bytes, string or message."""
    return write_varint(number << _WIRE_BITS | LENGTH) + write_varint(len(payload)) + payload


def write_integer(number: int, value: int) -> bytes:
    """Return a varint field; a negative `value` takes ten bytes, as int32 and int64 do."""
    return write_varint(number << _WIRE_BITS | VARINT) + write_varint(value & _MASK64)


def write_fixed64(number: int, value: int) -> bytes:
    """Return a fixed64 field."""
    return write_varint(number << _WIRE_BITS | FIXED64) + _FIXED64.pack(value)


def write_fixed32(number: int, value: int) -> bytes:
    """Return a fixed32 field."""
    return write_varint(number << _WIRE_BITS | FIXED32) + _FIXED32.pack(value)
