"""Attributes that are picked from their bytes, as the library reads them: those of every encoder, and any bytes."""

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from collector_plugin.span_attributes import AttributePicker, Value
from hopspan.protowire import write_length

WANTED = ("hopspan.local", "network.local.port", "k" * 127)
PICKER = AttributePicker(key.encode() for key in WANTED)
KEYS = st.sampled_from([*WANTED, "hopspan.loca", "hopspan.local2", "", "http.url"])
TEXTS = st.text(max_size=300).map(lambda text: AnyValue(string_value=text))
NUMBERS = st.integers(-(2**63), 2**63 - 1).map(lambda number: AnyValue(int_value=number))
OTHERS = st.sampled_from(
    [AnyValue(bool_value=True), AnyValue(double_value=1.5), AnyValue(bytes_value=b"b"), AnyValue()]
)


def write(key: str, value: AnyValue, *, is_descending: bool = False) -> bytes:
    """Return an attribute as SDKs write it, or as the Collector does: the key behind the value."""
    parts = [write_length(1, key.encode()), write_length(2, value.SerializeToString())]
    return b"".join(reversed(parts) if is_descending else parts)


def read(key: str, value: AnyValue) -> dict[bytes, Value]:
    """Return what is to be picked."""
    kind = value.WhichOneof("value")
    if key not in WANTED or kind not in ("string_value", "int_value"):
        return {}
    return {key.encode(): value.string_value.encode() if kind == "string_value" else value.int_value}


@given(KEYS, st.one_of(TEXTS, NUMBERS, OTHERS), st.booleans())
def test_wanted_attribute_is_picked(key: str, value: AnyValue, is_descending: bool) -> None:  # noqa: FBT001 - drawn
    """Texts and whole numbers, in either order of the fields; others are none."""
    assert PICKER.pick([write(key, value, is_descending=is_descending)]) == read(key, value)


def test_last_of_several_counts() -> None:
    """As the semantic conventions forbid two, and the library would overwrite the first."""
    two = [write("hopspan.local", AnyValue(string_value=text)) for text in "ab"]
    assert PICKER.pick(two) == {b"hopspan.local": b"b"}


@pytest.mark.parametrize("is_descending", [False, True])
def test_attribute_that_is_cut_has_no_other_value(is_descending: bool) -> None:  # noqa: FBT001 - a table's column
    """Whatever is left of it, it is the whole text or none."""
    data = write("hopspan.local", AnyValue(string_value="10.244.1.2:40000"), is_descending=is_descending)
    for length in range(len(data)):
        assert PICKER.pick([data[:length]]) in ({}, {b"hopspan.local": b""})


@given(st.binary(max_size=60))
def test_any_bytes_are_an_attribute_or_none(data: bytes) -> None:
    """What is picked of bytes that the library takes is what it reads; and nothing is ever raised."""
    for candidate in (data, write_length(1, b"hopspan.local") + data, data + write_length(1, b"hopspan.local")):
        picked = PICKER.pick([candidate])
        try:
            attribute = KeyValue.FromString(candidate)
        except DecodeError:
            continue
        if picked:
            assert picked == read(attribute.key, attribute.value)
