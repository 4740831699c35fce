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
from functools import lru_cache

from node_probe.huffman import decode
from node_probe.transit import Context, ContextFormat

PLAIN, HUFFMAN = 0, 1
"""The codings of a text: as the header had it, or in HPACK's Huffman code (HTTP/2)."""

CODED_REMEMBERED = 2048
"""Coded contexts whose fields are remembered, 400 bytes each: a response repeats the context of its request. Of
2,500 requests a second each is remembered for 0.8 s; what answers later is decoded again."""

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
_B3 = re.compile(rb"%b-%b(?:-([01d])(?:-(?:[0-9a-f]{16}|[0-9a-f]{12}\Z))?)?%b" % (_TRACE, _SPAN, _END))
"""The kernel keeps 64 bytes, which cuts the parent's id of the longest value to 12 digits."""

# bpf/contexts.h: the trace id at 0, with what follows it if it is short, the span id at 32, then the first characters
# of the sampling decision and of the debug flag, 0 where there is none. "true" and "false" are old forms.
_B3_MULTI_TRACE, _B3_MULTI_SPAN = re.compile(_TRACE), re.compile(_SPAN)
_B3_SPAN_AT, _B3_SAMPLED_AT, _B3_DEBUG_AT = 32, 48, 49

# The head has trace and span id, the last bytes of the value the flags; the parent's id between them does not matter.
_COLON = rb"(?::|%3[aA])"
_UBER_IDS = rb"([0-9a-fA-F]{1,32})%b([0-9a-fA-F]{1,16})%b[0-9a-fA-F]{1,16}" % (_COLON, _COLON)
_UBER_HEAD = re.compile(rb"%b(?:%b|%%?3?\Z)" % (_UBER_IDS, _COLON))
_UBER_FLAGS = re.compile(rb"%b([0-9a-fA-F]{1,2})\Z" % _COLON)
_UBER_TAIL_AT = 56
_UBER_SAMPLED = 3  # what is debugged (2) is sampled too

# A coded text is all of the value, of version 00 alone; white space around it is malformed (RFC 9113 section 8.2.1).
_CODED_TRACEPARENT = re.compile(rb"00%b" % _FIELDS)
_CODED_B3 = re.compile(rb"%b-%b(?:-([01d])(?:-[0-9a-f]{16})?)?" % (_TRACE, _SPAN))
_CODED_UBER = re.compile(rb"%b%b[0-9a-fA-F]{1,2}" % (_UBER_IDS, _COLON))
_CODED_B3_MULTI_IDS_AT = 4  # behind the coded lengths of trace and span id, the decision and the debug flag

_SAMPLED, _UNSAMPLED = b"01", b"00"
"""The flags, as a traceparent has them, of a context of another format. No decision is a deferred one, which the join
takes."""

_B3_FLAGS = {None: _SAMPLED, b"1": _SAMPLED, b"d": _SAMPLED, b"0": _UNSAMPLED}
_B3_MULTI_FLAGS = _B3_FLAGS | {b"\0": _SAMPLED, b"t": _SAMPLED, b"f": _UNSAMPLED}

Fields = tuple[bytes, bytes, bytes]
"""Trace id, parent id and flags as a traceparent has them: 32, 16 and 2 hex digits."""


class ContextError(ValueError):
    """The text is not a valid context; the text of the error never repeats it."""


def read_fields(context_format: int, coding: int, text: bytes) -> Fields:
    """Return the fields of `text`, which a header of `context_format` held in `coding`. Raises ContextError."""
    if coding == HUFFMAN:
        fields = _read_coded(context_format, text)
    else:
        reader = _READERS.get((context_format, coding))
        fields = reader(text) if reader else None
    if fields is None:
        raise ContextError(_explain(context_format, coding))
    return fields


def read_context(context_format: int, coding: int, text: bytes) -> Context:
    """Return the context of `text`, as read_fields does. Raises ContextError."""
    trace_id, parent_id, flags = read_fields(context_format, coding, text)
    return Context(unhexlify(trace_id), unhexlify(parent_id), int(flags, 16), ContextFormat(context_format))


@lru_cache(CODED_REMEMBERED)
def _read_coded(context_format: int, text: bytes) -> Fields | None:
    reader = _READERS.get((context_format, HUFFMAN))
    return reader(text) if reader else None


def _explain(context_format: int, coding: int) -> str:
    if coding not in (PLAIN, HUFFMAN):
        return f"context coding {coding} is not read by this version"
    if (context_format, coding) not in _READERS:
        return f"context format {context_format} is not read by this version"
    return f"{ContextFormat(context_format).label} is malformed"


def _read_traceparent(text: bytes) -> Fields | None:
    return (text[3:35], text[36:52], text[53:55]) if match_traceparent(text) else None


def _read_coded_traceparent(coded: bytes) -> Fields | None:
    text = decode(coded)
    return (text[3:35], text[36:52], text[53:]) if text and _CODED_TRACEPARENT.fullmatch(text) else None


def _read_b3(text: bytes) -> Fields | None:
    match = _B3.match(text)
    return (match[1].zfill(32), match[2], _B3_FLAGS[match[3]]) if match else None


def _read_coded_b3(coded: bytes) -> Fields | None:
    match = _CODED_B3.fullmatch(decode(coded) or b"")
    return (match[1].zfill(32), match[2], _B3_FLAGS[match[3]]) if match else None


def _read_b3_multi(text: bytes) -> Fields | None:
    trace = _B3_MULTI_TRACE.match(text[:_B3_SPAN_AT])
    span = _B3_MULTI_SPAN.fullmatch(text[_B3_SPAN_AT:_B3_SAMPLED_AT])
    return _join_b3_multi(trace, span, text[_B3_SAMPLED_AT:])


def _read_coded_b3_multi(coded: bytes) -> Fields | None:
    if len(coded) < _CODED_B3_MULTI_IDS_AT or len(coded) != _CODED_B3_MULTI_IDS_AT + coded[0] + coded[1]:
        return None
    span_at = _CODED_B3_MULTI_IDS_AT + coded[0]
    trace = _B3_MULTI_TRACE.fullmatch(decode(coded[_CODED_B3_MULTI_IDS_AT:span_at]) or b"")
    span = _B3_MULTI_SPAN.fullmatch(decode(coded[span_at:]) or b"")
    return _join_b3_multi(trace, span, coded[2:_CODED_B3_MULTI_IDS_AT])


def _join_b3_multi(trace: re.Match[bytes] | None, span: re.Match[bytes] | None, decision: bytes) -> Fields | None:
    # Whatever was decided, what is debugged is sampled.
    flags = _B3_MULTI_FLAGS.get(decision[:1])
    if not trace or not span or not flags:
        return None
    return trace[1].zfill(32), span[1], _SAMPLED if decision[1:2] == b"1" else flags


def _read_uber(text: bytes) -> Fields | None:
    head, flags = _UBER_HEAD.match(text[:_UBER_TAIL_AT]), _UBER_FLAGS.search(text[_UBER_TAIL_AT:])
    return _join_uber(head, flags)


def _read_coded_uber(coded: bytes) -> Fields | None:
    text = decode(coded) or b""
    return _join_uber(_CODED_UBER.fullmatch(text), _UBER_FLAGS.search(text))


def _join_uber(head: re.Match[bytes] | None, flags: re.Match[bytes] | None) -> Fields | None:
    if not head or not flags:
        return None
    trace_id, parent_id = head[1].lower().zfill(32), head[2].lower().zfill(16)
    if not trace_id.strip(b"0") or not parent_id.strip(b"0"):
        return None
    return trace_id, parent_id, _SAMPLED if int(flags[1], 16) & _UBER_SAMPLED else _UNSAMPLED


_READERS: dict[tuple[int, int], Callable[[bytes], Fields | None]] = {
    (ContextFormat.TRACEPARENT, PLAIN): _read_traceparent,
    (ContextFormat.TRACEPARENT, HUFFMAN): _read_coded_traceparent,
    # As claimed_record writes it; the kernel's own, which no span has claimed, has no text.
    (ContextFormat.FLOW, PLAIN): _read_traceparent,
    (ContextFormat.B3, PLAIN): _read_b3,
    (ContextFormat.B3, HUFFMAN): _read_coded_b3,
    (ContextFormat.B3MULTI, PLAIN): _read_b3_multi,
    (ContextFormat.B3MULTI, HUFFMAN): _read_coded_b3_multi,
    (ContextFormat.UBER_TRACE_ID, PLAIN): _read_uber,
    (ContextFormat.UBER_TRACE_ID, HUFFMAN): _read_coded_uber,
}
