"""Reads the text of a tracing context: bytes as they stood in the header -> the ids and the flags.

Pure. The grammar (W3C Trace Context, section 3.2):
  traceparent = version "-" trace-id "-" parent-id "-" trace-flags
with 2, 32, 16 and 2 lower-case hex digits, version not ff, ids not all zero.
"""

import re
from binascii import unhexlify

from node_probe.transit import Context, ContextFormat

PLAIN = 0
"""The coding of a text that is as the header had it; 1 is HPACK's Huffman code."""

# A value of version 00 ends with the flags; of a later version the first 55 characters are read, if a dash follows.
# White space and the line's end are not part of the value (RFC 9110 section 5.5).
_FIELDS = rb"-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
_END = rb"[ \t]*(?:[\r\n]|$)"
_TRACEPARENT = re.compile(rb"00%b%b|(?!00|ff)[0-9a-f]{2}%b(?:%b|-)" % (_FIELDS, _END, _FIELDS, _END))

match_traceparent = _TRACEPARENT.match
"""(bytes, start, end) -> whether a valid traceparent begins at `start`; only the bytes before `end` count. What is
read of it lies at fixed places behind its start: the trace id at 3, the parent id at 36, the flags at 53."""


class ContextError(ValueError):
    """The text is not a valid context; the text of the error never repeats it."""


def read_traceparent(text: bytes) -> Context:
    """Return the context of a traceparent's value, with whatever stood behind it up to 64 bytes in all.

    Raises ContextError for anything that W3C Trace Context calls invalid.
    """
    if match_traceparent(text) is None:
        raise ContextError("traceparent is malformed")
    return Context(unhexlify(text[3:35]), unhexlify(text[36:52]), int(text[53:55], 16), ContextFormat.TRACEPARENT)


def read_context(context_format: int, coding: int, text: bytes) -> Context:
    """Return the context of `text`, which a header of `context_format` held in `coding`. Raises ContextError."""
    if coding != PLAIN:
        raise ContextError(f"context coding {coding} is not read by this version")
    if context_format == ContextFormat.TRACEPARENT:
        return read_traceparent(text)
    raise ContextError(f"context format {context_format} is not read by this version")
