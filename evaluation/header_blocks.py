"""Reads and makes header blocks of HTTP/1.1 requests, and tells where in them the context ends. Pure."""

from collections.abc import Sequence
from ipaddress import IPv4Address

_IP, _TCP = 14, 34
"""Offsets in a frame without VLAN tag and IP options."""

_TCP_PROTOCOL = 6
_END = b"\r\n\r\n"
_CONTEXT = b"\r\ntraceparent:"
_TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-{:016x}-01"
_LINE_BYTES = 50
"""Of a made-up header: about what those have that browsers and proxies add."""


def read_block(frame: bytes) -> tuple[IPv4Address, bytes] | None:
    """Return the sender and the header block of a frame that begins and ends one; None for any other frame."""
    if frame[12:14] != b"\x08\x00" or frame[_IP + 9] != _TCP_PROTOCOL:
        return None
    payload = frame[_TCP + (frame[_TCP + 12] >> 4) * 4 :]
    block, end, _ = payload.partition(_END)
    if not payload.startswith(b"GET ") or not end:
        return None
    return IPv4Address(frame[_IP + 12 : _IP + 16]), block + end


def find_context_end(block: bytes) -> int | None:
    """Return how many bytes of a header block hold its context whole; None where it has none."""
    start = block.lower().find(_CONTEXT)
    return None if start < 0 else block.index(b"\r\n", start + 2)


def is_sampled(block: bytes) -> bool:
    """Tell whether a header block has a context whose trace is recorded: the last field of traceparent has bit 1."""
    end = find_context_end(block)
    return end is not None and bool(int(block[end - 2 : end], 16) & 1)


def share_within(ends: Sequence[int], window_bytes: int) -> float:
    """Return the share of header blocks whose context a reader of the first bytes alone would have whole."""
    return sum(end <= window_bytes for end in ends) / len(ends)


def make_block(size_bytes: int, number: int, *, at_head: bool) -> bytes:
    """Return a header block of that size, of at least 200 bytes, with the number in its context.

    The context is behind the request line and Host, where the filter has it, or behind all other headers.
    """
    start = b"GET /cart HTTP/1.1\r\nhost: cart\r\n"
    context = f"traceparent: {_TRACEPARENT.format(number + 1)}\r\n".encode()
    others = _make_others(size_bytes - len(start) - len(context) - 2)
    return start + (context + others if at_head else others + context) + b"\r\n"


def _make_others(size_bytes: int) -> bytes:
    lines: list[bytes] = []
    left = size_bytes
    while left:
        # The last one takes what would be too little for a header of its own.
        length = _LINE_BYTES if left >= 2 * _LINE_BYTES else left
        name = f"x-header-{len(lines)}: ".encode()
        lines.append(name + b"a" * (length - len(name) - 2) + b"\r\n")
        left -= length
    return b"".join(lines)
