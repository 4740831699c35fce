"""Attribute values of OTLP as the texts that Zipkin has for them, and JSON in such texts as values.

Pure. By OpenTelemetry's mapping: strings as they are, numbers and truth values as in JSON, lists and maps as JSON;
bytes in base64. Format of values: opentelemetry/proto/common/v1/common.proto.
"""

import base64
import math
from collections.abc import Iterable
from typing import Any

import msgspec
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from collector_plugin.otlp_json_values import MAX_NESTING

_MIN_INT64, _MAX_INT64 = -(1 << 63), (1 << 63) - 1


def write_text(value: AnyValue) -> str:
    """Return a value as the text of a tag; of no kind it is empty."""
    if value.WhichOneof("value") == "string_value":
        return value.string_value
    plain = to_plain(value)
    if plain is None:
        return ""
    return plain if isinstance(plain, str) else write_json(plain)


def write_json(plain: Any) -> str:
    """Return a plain value as JSON without blanks."""
    return msgspec.json.encode(plain).decode()


def to_plain(value: AnyValue) -> Any:
    """Return a value as JSON has it; bytes and what is no number become texts, a value of no kind None."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [to_plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return to_object(value.kvlist_value.values)
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    if kind == "double_value":
        return _write_double(value.double_value)
    return None if kind is None else getattr(value, kind)


def to_object(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    """Return attributes as a JSON object; of one key the last counts."""
    return {pair.key: to_plain(pair.value) for pair in pairs}


def from_object(plain: dict[str, Any], depth: int = 0) -> list[KeyValue]:
    """Return a JSON object as attributes. Raises ValueError where it is nested in more than MAX_NESTING levels."""
    return [KeyValue(key=key, value=from_plain(item, depth)) for key, item in plain.items()]


def from_plain(plain: Any, depth: int = 0) -> AnyValue:
    """Return a JSON value as OTLP's. Raises ValueError where it is nested in more than MAX_NESTING levels."""
    if depth > MAX_NESTING:
        raise ValueError(f"nested in more than {MAX_NESTING} levels")
    if isinstance(plain, dict):
        return AnyValue(kvlist_value=KeyValueList(values=from_object(plain, depth + 1)))
    if isinstance(plain, list):
        return AnyValue(array_value=ArrayValue(values=[from_plain(item, depth + 1) for item in plain]))
    return from_scalar(plain)


def from_scalar(plain: Any) -> AnyValue:
    """Return a JSON value that holds no others as OTLP's; a number beyond 64 bits is a text."""
    if plain is None:
        return AnyValue()
    if isinstance(plain, str):
        return AnyValue(string_value=plain)
    if isinstance(plain, bool):
        return AnyValue(bool_value=plain)
    if isinstance(plain, float):
        return AnyValue(double_value=plain)
    return AnyValue(int_value=plain) if _MIN_INT64 <= plain <= _MAX_INT64 else AnyValue(string_value=str(plain))


def _write_double(value: float) -> float | str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value
