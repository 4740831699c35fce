"""Joins Zipkin v2 JSON arrays into one; their spans keep their bytes.

Pure. Each part is an array that the walk took, or empty.
"""

_BLANKS = b" \t\n\r"
"""White space of JSON, RFC 8259."""


def merge_arrays(parts: list[bytes]) -> bytes:
    """Return one array with the spans of all, in their order; a single part as it is. Parts must be arrays."""
    if len(parts) == 1 and parts[0]:
        return parts[0]
    inner = (part.strip(_BLANKS)[1:-1] for part in parts)
    return b"[" + b",".join([spans for spans in inner if spans and not spans.isspace()]) + b"]"
