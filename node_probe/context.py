"""Reads the text of a tracing context: bytes as they stood in the header -> the ids and the flags.

Pure. The grammars, with "hex" for digits of which only the lower-case ones count in the first three:
  traceparent   = version "-" trace-id "-" parent-id "-" trace-flags          (W3C Trace Context, section 3.2)
  b3            = trace-id "-" span-id [ "-" ( "0" / "1" / "d" ) [ "-" parent-id ] ]     (B3 propagation)
  X-B3-TraceId, X-B3-SpanId, X-B3-Sampled, X-B3-Flags: one of those fields each; the kernel puts them into one text
  uber-trace-id = trace-id ":" span-id ":" parent-id ":" flags, variable lengths, ":" also as "%3A"     (Jaeger)
Ids of 64 bits are padded on the left; ids of all zeros are none.
"""

import re
from binascii import unhexlify
from collections.abc import Callable

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

_TRACE = rb"(?!0+(?![0-9a-f]))([0-9a-f]{32}|[0-9a-f]{16}(?![0-9a-f]))"
_SPAN = rb"(?!0{16})([0-9a-f]{16})"
_B3 = re.compile(rb"%b-%b(?:-[1d](?:-(?:[0-9a-f]{16}|[0-9a-f]{12}\Z))?)?%b" % (_TRACE, _SPAN, _END))
"""The kernel keeps 64 bytes, which cuts the parent's id of the longest value to 12 digits."""

# bpf/contexts.h: the trace id at 0, with what follows it if it is short, the span id at 32, then the first characters
# of the sampling decision and of the debug flag, 0 where there is none. A decision of "true" is an old form.
_B3_MULTI_TRACE, _B3_MULTI_SPAN = re.compile(_TRACE), re.compile(_SPAN)
_B3_SPAN_AT, _B3_SAMPLED_AT = 32, 48
_B3_DECISIONS = (b"\0", b"1", b"t", b"d")

# The head has trace and span id, the last bytes of the value the flags; the parent's id between them does not matter.
_COLON = rb"(?::|%3[aA])"
_UBER_HEAD = re.compile(
    rb"([0-9a-fA-F]{1,32})"
    + _COLON
    + rb"([0-9a-fA-F]{1,16})"
    + _COLON
    + rb"[0-9a-fA-F]{1,16}(?:"
    + _COLON
    + rb"|%?3?\Z)"
)
_UBER_FLAGS = re.compile(rb"%b([0-9a-fA-F]{1,2})\Z" % _COLON)
_UBER_TAIL_AT = 56

_SAMPLED = b"01"
"""The flags, as a traceparent has them, of a context of another format that came so far: the kernel leaves others."""

Fields = tuple[bytes, bytes, bytes]
"""Trace id, parent id and flags as a traceparent has them: 32, 16 and 2 hex digits."""


class ContextError(ValueError):
    """The text is not a valid context; the text of the error never repeats it."""


def read_ids(context_format: int, text: bytes) -> Fields | None:
    """Return the fields of a plain text that a header of the format held; None where it is not valid."""
    reader = _READERS.get(context_format)
    return reader(text) if reader else None


def read_context(context_format: int, coding: int, text: bytes) -> Context:
    """Return the context of `text`, which a header of `context_format` held in `coding`. Raises ContextError."""
    if coding != PLAIN:
        raise ContextError(f"context coding {coding} is not read by this version")
    if context_format not in _READERS:
        raise ContextError(f"context format {context_format} is not read by this version")
    fields = read_ids(context_format, text)
    if fields is None:
        raise ContextError(f"{ContextFormat(context_format).label} is malformed")
    trace_id, parent_id, flags = fields
    return Context(unhexlify(trace_id), unhexlify(parent_id), int(flags, 16), ContextFormat(context_format))


def _read_traceparent(text: bytes) -> Fields | None:
    return (text[3:35], text[36:52], text[53:55]) if match_traceparent(text) else None


def _read_b3(text: bytes) -> Fields | None:
    match = _B3.match(text)
    return (match[1].zfill(32), match[2], _SAMPLED) if match else None


def _read_b3_multi(text: bytes) -> Fields | None:
    trace = _B3_MULTI_TRACE.match(text[:_B3_SPAN_AT])
    span = _B3_MULTI_SPAN.fullmatch(text[_B3_SPAN_AT:_B3_SAMPLED_AT])
    if not trace or not span or text[_B3_SAMPLED_AT : _B3_SAMPLED_AT + 1] not in _B3_DECISIONS:
        return None
    return trace[1].zfill(32), span[1], _SAMPLED


def _read_uber(text: bytes) -> Fields | None:
    head, flags = _UBER_HEAD.match(text[:_UBER_TAIL_AT]), _UBER_FLAGS.search(text[_UBER_TAIL_AT:])
    if not head or not flags:
        return None
    trace_id, parent_id = head[1].lower().zfill(32), head[2].lower().zfill(16)
    return (trace_id, parent_id, _SAMPLED) if trace_id.strip(b"0") and parent_id.strip(b"0") else None


_READERS: dict[int, Callable[[bytes], Fields | None]] = {
    ContextFormat.TRACEPARENT: _read_traceparent,
    ContextFormat.B3: _read_b3,
    ContextFormat.B3MULTI: _read_b3_multi,
    ContextFormat.UBER_TRACE_ID: _read_uber,
}
