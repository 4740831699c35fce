"""Reads the text of a tracing context: bytes as they stood in the header -> Context.

Pure. The grammar (W3C Trace Context, section 3.2):
  traceparent = version "-" trace-id "-" parent-id "-" trace-flags
with 2, 32, 16 and 2 lower-case hex digits, version not ff, ids not all zero.
"""

import re

from node_probe.transit import Context, ContextFormat

PLAIN = 0
"""The coding of a text that is as the header had it; 1 is HPACK's Huffman code."""

# A value of version 00 ends with the flags; of a later version the first 55 characters are read, if a dash follows.
# White space and the line's end are not part of the value (RFC 9110 section 5.5).
_TRACEPARENT = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:[ \t]*(?:[\r\n]|$)|(-))"
)


class ContextError(ValueError):
    """The text is not a valid context; the text of the error never repeats it."""


def read_traceparent(text: bytes) -> Context:
    """Return the context of a traceparent's value, with whatever stood behind it up to 64 bytes in all.

    Raises ContextError for anything that W3C Trace Context calls invalid.
    """
    match = _TRACEPARENT.match(text)
    if match is None:
        raise ContextError("traceparent is malformed")
    version, trace_id, parent_id, flags, more = match.groups()
    if more and version == b"00":
        raise ContextError("traceparent of version 00 is longer than 55 characters")
    return Context(
        bytes.fromhex(trace_id.decode()),
        bytes.fromhex(parent_id.decode()),
        int(flags, 16),
        ContextFormat.TRACEPARENT,
    )


def read_context(context_format: int, coding: int, text: bytes) -> Context:
    """Return the context of `text`, which a header of `context_format` held in `coding`. Raises ContextError."""
    if coding != PLAIN:
        raise ContextError(f"context coding {coding} is not read by this version")
    if context_format == ContextFormat.TRACEPARENT:
        return read_traceparent(text)
    raise ContextError(f"context format {context_format} is not read by this version")
