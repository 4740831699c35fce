"""Read ids as people and backends write them: hex, in either case, sometimes without the zeros in front. Pure."""

TRACE_ID_BYTES = 16
SPAN_ID_BYTES = 8

TRACEPARENT_DASHES = 3

_SHORT_HALF = bytes(TRACE_ID_BYTES - SPAN_ID_BYTES)


def read_padded_id(field: str, text: str, size: int) -> bytes:
    """Return an id of `size` bytes from 1 to 2 * `size` hex digits; raises ValueError that names the field.

    Jaeger's older API leaves out zeros in front, and Zipkin's trace ids of 64 bits have 16 digits.
    """
    digits = text.isascii() and text.isalnum() and len(text) <= 2 * size
    try:
        found = bytes.fromhex(text.zfill(2 * size)) if digits else b""
    except ValueError:
        found = b""
    if not found:
        raise ValueError(f"{field} is not 1 to {2 * size} hex digits: {text!r:.80}")
    if not any(found):
        raise ValueError(f"{field} is all zeros, which no id may be")
    return found


def read_trace_id(text: str) -> bytes:
    """Return the trace id that somebody typed or pasted; raises ValueError that says what is wrong.

    Taken are ids of 64 or 128 bits in either case, with or without `0x` or zeros in front, and with spaces around.
    """
    digits = text.strip().lower().removeprefix("0x")
    if digits.count("-") == TRACEPARENT_DASHES:
        raise ValueError(f"{text!r:.80} is a whole traceparent: its trace id is the second part")
    strange = next((char for char in digits if char not in "0123456789abcdef"), None)
    if strange is not None:
        raise ValueError(f"{text!r:.80} is not a trace id: {strange!r} is no hex digit")
    if not digits or len(digits) > 2 * TRACE_ID_BYTES:
        raise ValueError(f"{text!r:.80} is not a trace id: it has {len(digits)} hex digits, not 16 or 32")
    return read_padded_id("the trace id", digits, TRACE_ID_BYTES)


def is_short(trace_id: bytes) -> bool:
    """Say whether a trace id of 16 bytes is one of 64 bits: B3 and Zipkin have such, padded elsewhere."""
    return trace_id.startswith(_SHORT_HALF)


def is_same_trace(one: bytes, other: bytes) -> bool:
    """Say whether two trace ids mean one trace: they are equal, or one is of 64 bits and the other ends in it."""
    return one == other or (one[-8:] == other[-8:] and (is_short(one) or is_short(other)))
