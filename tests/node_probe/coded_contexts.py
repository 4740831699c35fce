"""Coded contexts to vary, and the second opinion on them: the hpack package's Huffman code, and grammars by hand."""

from collections.abc import Callable

from hpack.exceptions import HPACKDecodingError
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.huffman_table import decode_huffman

from node_probe.transit import Context, ContextFormat

DIGITS = frozenset("0123456789abcdef")
ANY_DIGITS = DIGITS | frozenset("ABCDEF")

_encoder = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)


def encode(text: str) -> bytes:
    """Return the text in HPACK's Huffman code."""
    return bytes(_encoder.encode(text.encode()))


def encode_multi(trace_id: str, span_id: str, decision: str = "\0", debug: str = "\0") -> bytes:
    """Return what the kernel makes of the three or four headers of B3 whose ids are coded."""
    trace, span = encode(trace_id), encode(span_id)
    return bytes([len(trace), len(span)]) + (decision + debug).encode() + trace + span


def read_by_hand(context_format: int, coded: bytes) -> Context | None:
    """Return the context of a coded text, None where it is not one."""
    try:
        fields = _READERS[context_format](coded)
    except HPACKDecodingError:
        return None
    if fields is None:
        return None
    trace_id, parent_id, flags = fields
    if set(trace_id) == {"0"} or set(parent_id) == {"0"}:
        return None
    return Context(
        bytes.fromhex(trace_id.zfill(32)), bytes.fromhex(parent_id.zfill(16)), flags, ContextFormat(context_format)
    )


def _decode(coded: bytes) -> str:
    return decode_huffman(coded).decode("latin-1")


def _are_digits(*parts: str) -> bool:
    return all(set(part) <= DIGITS for part in parts)


def _read_traceparent(coded: bytes) -> tuple[str, str, int] | None:
    parts = _decode(coded).split("-")
    if [len(part) for part in parts] != [2, 32, 16, 2] or parts[0] != "00" or not _are_digits(*parts):
        return None
    return parts[1], parts[2], int(parts[3], 16)


def _read_b3(coded: bytes) -> tuple[str, str, int] | None:
    trace_id, *rest = _decode(coded).split("-")
    if len(trace_id) not in (16, 32) or not 1 <= len(rest) <= 3 or len(rest[0]) != 16:
        return None
    decision = rest[1] if len(rest) > 1 else "1"
    parent = rest[2] if len(rest) > 2 else "0" * 16
    if decision not in ("0", "1", "d") or len(parent) != 16 or not _are_digits(trace_id, rest[0], parent):
        return None
    return trace_id, rest[0], int(decision != "0")


def _read_b3_multi(coded: bytes) -> tuple[str, str, int] | None:
    if len(coded) < 4 or len(coded) != 4 + coded[0] + coded[1]:
        return None
    trace_id, span_id = _decode(coded[4 : 4 + coded[0]]), _decode(coded[4 + coded[0] :])
    decision, debug = coded[2:3].decode("latin-1"), coded[3:4]
    if len(trace_id) not in (16, 32) or len(span_id) != 16 or not _are_digits(trace_id, span_id):
        return None
    return (trace_id, span_id, int(decision not in "0f" or debug == b"1")) if decision in "\x0001tdf" else None


def _read_uber(coded: bytes) -> tuple[str, str, int] | None:
    parts = _decode(coded).replace("%3A", ":").replace("%3a", ":").split(":")
    if len(parts) != 4 or not all(0 < len(part) <= most for part, most in zip(parts, (32, 16, 16, 2), strict=True)):
        return None
    if not all(set(part) <= ANY_DIGITS for part in parts):
        return None
    return parts[0], parts[1], int(int(parts[3], 16) & 3 != 0)


_READERS: dict[int, Callable[[bytes], tuple[str, str, int] | None]] = {
    ContextFormat.TRACEPARENT: _read_traceparent,
    ContextFormat.B3: _read_b3,
    ContextFormat.B3MULTI: _read_b3_multi,
    ContextFormat.UBER_TRACE_ID: _read_uber,
}
