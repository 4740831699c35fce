"""OTLP requests as JSON, encoded and decoded: OTLP's own mapping, which is protobuf's but for three things.

Pure. Ids are hex, not base64; enums are numbers; keys are lowerCamelCase alone. Source:
https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding. Fields that the library does not know are left out.
"""

import base64
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

MAX_NESTING = 64
"""Of attribute values; the protobuf library stops at 100 messages, two a level, and this names the error as ours."""

_ID_KEYS = ("traceId", "spanId", "parentSpanId")


class OtlpJsonError(ValueError):
    """The input is not an OTLP trace request."""


def encode_request(data: bytes) -> bytes:
    """Return the protobuf request `data` as one line of JSON, without the line's end. Raises OtlpJsonError."""
    try:
        message = ExportTraceServiceRequest.FromString(data)
        document = json_format.MessageToDict(message, use_integers_for_enums=True)
    except (DecodeError, json_format.Error, RecursionError) as error:
        raise OtlpJsonError(f"not an ExportTraceServiceRequest: {error}") from error
    _convert_ids(document, lambda text: base64.b64decode(text).hex())
    return msgspec.json.encode(document)


def decode_request(line: bytes) -> bytes:
    """Return the protobuf request of its JSON form; unknown keys are ignored. Raises OtlpJsonError."""
    try:
        document = msgspec.json.decode(line)
        _convert_ids(document, lambda text: base64.b64encode(bytes.fromhex(text)).decode())
        message = json_format.ParseDict(
            document, ExportTraceServiceRequest(), ignore_unknown_fields=True, max_recursion_depth=MAX_NESTING
        )
    except (msgspec.DecodeError, json_format.Error, AttributeError, TypeError, ValueError, RecursionError) as error:
        raise OtlpJsonError(f"not an OTLP trace request: {error}") from error
    return message.SerializeToString()


def _convert_ids(document: Any, convert: Callable[[str], str]) -> None:
    for span in _list_spans(document):
        for holder in (span, *span.get("links", ())):
            for key in _ID_KEYS:
                if key in holder:
                    holder[key] = convert(holder[key])


def _list_spans(document: Any) -> Iterator[dict[str, Any]]:
    for resource_spans in document.get("resourceSpans", ()):
        for scope_spans in resource_spans.get("scopeSpans", ()):
            yield from scope_spans.get("spans", ())
