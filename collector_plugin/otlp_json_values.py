"""Attributes of OTLP/JSON as msgspec reads them, and their protobuf bytes.

Pure. Numbers of 64 bits are numbers or texts, as protobuf's JSON has them. Format:
opentelemetry/proto/common/v1/common.proto.
"""

import base64
import binascii
import functools
import math
import re
import struct

import msgspec

from collector_plugin.json_input import Allowance
from hopspan.protowire import FIXED64, WireError, write_integer, write_length, write_varint

MAX_NESTING = 30
"""Of lists and maps in one attribute. A map takes three messages a level, and the protobuf library reads 100."""

Integer = int | float | str | None
"""How a whole number may stand in JSON."""

MAX_UINT32 = (1 << 32) - 1
MAX_UINT64 = (1 << 64) - 1
_INT64 = (-(1 << 63), (1 << 63) - 1)

_DIGITS = re.compile(r"-?[0-9]{1,20}")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_URL_SAFE = str.maketrans("-_", "+/")
_DOUBLE = struct.Struct("<d")
_DOUBLE_TAG = write_varint(4 << 3 | FIXED64)
_NO_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_CACHED_KEYS = 1024
_CACHED_KEY_LENGTH = 64

allowance = Allowance()
"""Objects of the request that is being read."""


class Counted(msgspec.Struct, gc=False):
    """An object that counts against the allowance."""

    def __post_init__(self) -> None:
        """Count it."""
        allowance.take()


class AnyValue(Counted, gc=False, rename="camel"):
    """A value of at most one kind; of none it is lawful too."""

    string_value: str | None = None
    bool_value: bool | None = None
    int_value: Integer = None
    double_value: float | str | None = None
    array_value: "ArrayValue | None" = None
    kvlist_value: "KeyValueList | None" = None
    bytes_value: str | None = None


class KeyValue(Counted, gc=False):
    """An attribute."""

    key: str | None = None
    value: AnyValue | None = None


class ArrayValue(Counted, gc=False):
    """A list."""

    values: list[AnyValue] | None = None


class KeyValueList(Counted, gc=False):
    """A map."""

    values: list[KeyValue] | None = None


def write_attributes(number: int, attributes: list[KeyValue] | None) -> list[bytes]:
    """Return a field with the number `number` for each attribute. Raises WireError."""
    return [write_length(number, _write_pair(pair, 0)) for pair in attributes or ()]


def read_integer(value: Integer, low: int, high: int) -> int:
    """Return a whole number, 0 for none. Raises WireError where it is none, or not within `low` and `high`."""
    if isinstance(value, str):
        if not _DIGITS.fullmatch(value):
            raise WireError("a whole number is not written as one")
        value = int(value)
    elif isinstance(value, float):
        if not value.is_integer():
            raise WireError("a whole number has a fraction")
        value = int(value)
    if value is None:
        return 0
    if not low <= value <= high:
        raise WireError(f"a whole number is not within {low} and {high}")
    return value


def _write_pair(pair: KeyValue, depth: int) -> bytes:
    key = _write_key(pair.key) if pair.key else b""
    return key if pair.value is None else key + write_length(2, _write_any(pair.value, depth))


def _write_key(key: str) -> bytes:
    return _write_short_key(key) if len(key) <= _CACHED_KEY_LENGTH else write_length(1, key.encode())


@functools.lru_cache(_CACHED_KEYS)
def _write_short_key(key: str) -> bytes:
    return write_length(1, key.encode())


def _write_any(value: AnyValue, depth: int) -> bytes:
    text = value.string_value
    others = (
        value.bool_value,
        value.int_value,
        value.double_value,
        value.array_value,
        value.kvlist_value,
        value.bytes_value,
    )
    if others == _NO_OTHERS:
        return b"" if text is None else write_length(1, text.encode())
    if (text is not None) + sum(other is not None for other in others) > 1:
        raise WireError("a value is of more than one kind")
    return _write_other(value, depth)


_NO_OTHERS = (None,) * 6


def _write_other(value: AnyValue, depth: int) -> bytes:
    if value.bool_value is not None:
        return write_integer(2, int(value.bool_value))
    if value.int_value is not None:
        return write_integer(3, read_integer(value.int_value, *_INT64))
    if value.double_value is not None:
        return _DOUBLE_TAG + _DOUBLE.pack(_read_double(value.double_value))
    if value.bytes_value is not None:
        return write_length(7, _read_base64(value.bytes_value))
    if depth == MAX_NESTING:
        raise WireError(f"an attribute is nested in more than {MAX_NESTING} levels")
    if value.array_value is not None:
        items = value.array_value.values or ()
        return write_length(5, b"".join([write_length(1, _write_any(item, depth + 1)) for item in items]))
    pairs = (value.kvlist_value.values if value.kvlist_value else None) or ()
    return write_length(6, b"".join([write_length(1, _write_pair(pair, depth + 1)) for pair in pairs]))


def _read_double(value: float | str) -> float:
    if not isinstance(value, str):
        return value
    if value in _NO_FINITE:
        return _NO_FINITE[value]
    if not _NUMBER.fullmatch(value) or not math.isfinite(float(value)):
        raise WireError("a double is not written as one")
    return float(value)


def _read_base64(text: str) -> bytes:
    # Both alphabets, with padding or without: protobuf's readers take all four.
    try:
        return base64.b64decode(text.translate(_URL_SAFE) + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise WireError("bytes are not written in base64") from error
