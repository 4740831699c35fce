"""Writes Zipkin v2 JSON arrays, of values and of other arrays.

Pure.
"""

from typing import Any

import msgspec

_BLANKS = b" \t\n\r"
"""White space of JSON, RFC 8259."""


_FIRST_FORMAT = (b'yAnnotations"', b'yAnnotation\\u0073"')
"""A server takes a body with this text for Zipkin's first format and refuses it; written otherwise it passes."""


def encode_array(spans: list[Any]) -> bytes:
    """Return JSON values as an array that no server takes for the first format."""
    return msgspec.json.encode(spans).replace(*_FIRST_FORMAT)


def merge_arrays(parts: list[bytes]) -> bytes:
    """Return one array with the spans of all, in their order, byte for byte; a single part as it is.

    Each part is an array that the walk took, or empty.
    """
    if len(parts) == 1 and parts[0]:
        return parts[0]
    inner = (part.strip(_BLANKS)[1:-1] for part in parts)
    return b"[" + b",".join([spans for spans in inner if spans and not spans.isspace()]) + b"]"
