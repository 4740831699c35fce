"""The wire format against the protobuf library."""

import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from hopspan.protowire import (
    WireError,
    read_fields,
    read_varint,
    write_fixed32,
    write_fixed64,
    write_integer,
    write_length,
    write_varint,
)


@given(st.integers(0, 2**64 - 1), st.binary(max_size=3))
def test_varint_round_trip(value: int, behind: bytes) -> None:
    """What was written is read, and what stands behind is left alone."""
    data = write_varint(value)
    assert read_varint(data + behind, 0, len(data + behind)) == (value, len(data))


@pytest.mark.parametrize(
    "data", [b"", b"\x80", b"\xff" * 9, b"\xff" * 10, b"\xff" * 20], ids=lambda data: f"{len(data)} bytes"
)
def test_varint_without_end_is_refused(data: bytes) -> None:
    """A varint ends within ten bytes and within its message."""
    with pytest.raises(WireError):
        read_varint(data, 0, len(data))
    with pytest.raises(WireError):
        read_varint(data + b"\x01", 0, len(data))


def test_excess_bits_are_dropped() -> None:
    """The tenth byte of a varint has one bit that counts, as protobuf has it."""
    assert read_varint(b"\xff" * 9 + b"\x7f", 0, 10) == (2**64 - 1, 10)


def test_written_fields_are_read_by_protobuf() -> None:
    """A message written field by field is the same to the library."""
    data = b"".join(
        (
            write_length(1, b"t" * 16),
            write_length(5, b"name"),
            write_integer(6, 3),
            write_fixed64(7, 2**64 - 1),
            write_integer(10, 300),
            write_fixed32(16, 257),
        )
    )
    span = Span(
        trace_id=b"t" * 16, name="name", kind=Span.SPAN_KIND_CLIENT, start_time_unix_nano=2**64 - 1,
        dropped_attributes_count=300, flags=257,
    )  # fmt: skip
    assert data == span.SerializeToString()
    assert [number for number, *_ in read_fields(data, 0, len(data))] == [1, 5, 6, 7, 10, 16]


def test_negative_integers_take_ten_bytes() -> None:
    """Int32 and int64 are sign-extended to 64 bits."""
    assert write_integer(1, -1) == b"\x08" + b"\xff" * 9 + b"\x01"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x00", "field number 0"),
        (b"\x07\x01", "field number 0"),
        (b"\x0b\x0c", "wire type 3"),
        (b"\x0c", "wire type 4"),
        (b"\x0e", "wire type 6"),
        (b"\x0a\x02a", "longer than its message"),
        (b"\x09\x01", "longer than its message"),
        (b"\x0d\x01", "longer than its message"),
        (b"\x08", "no end"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "longer than its message"),
        (b"\xfa\xff\xff\xff\x1f\x00", "field number"),
    ],
)
def test_malformed_messages_are_refused(data: bytes, reason: str) -> None:
    """Each way of being malformed has its text."""
    with pytest.raises(WireError, match=reason):
        list(read_fields(data, 0, len(data)))


@given(st.binary(max_size=40))
def test_what_is_read_as_a_message_is_one_to_protobuf(data: bytes) -> None:
    """The library accepts whatever was read; the reverse holds but for groups."""
    try:
        fields = list(read_fields(data, 0, len(data)))
    except WireError:
        return
    assert b"".join(data[start:end] for _, _, start, _, end in fields) == data
    Empty.FromString(data)


@given(st.binary(max_size=40))
def test_what_protobuf_refuses_is_refused(data: bytes) -> None:
    """Nothing slips through that the library would not read."""
    try:
        Empty.FromString(data)
    except DecodeError:
        with pytest.raises(WireError):
            list(read_fields(data, 0, len(data)))
