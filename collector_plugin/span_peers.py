"""Which address a CLIENT says that it called, by its attributes.

Pure. Only what names the other end of the socket counts: `server.address` may be behind a proxy, and is a name as a
rule.
"""

import functools
from collections.abc import Mapping
from ipaddress import ip_address

from collector_plugin.span_walk import SPAN_KIND_CLIENT, SPAN_KIND_PRODUCER

PEER_KEYS = (b"network.peer.address", b"net.sock.peer.addr", b"net.peer.ip")
"""Semantic conventions since 1.21, since 1.13, and before; the first that a span has counts."""

CALLING_KINDS = frozenset({SPAN_KIND_CLIENT, SPAN_KIND_PRODUCER})

ADDRESS_BYTES = 16
_MAPPED = bytes(10) + b"\xff\xff"

_IN_ALL_KEYS = b"peer."
"""Five bytes: CPython's search for six and more takes four times as long in a request of the usual size."""

_CACHED_ADDRESSES = 4096
"""Services are few, and their addresses come again with every span."""


def may_have_peers(data: bytes, start: int, end: int) -> bool:
    """Tell whether any span in data[start:end] can name a peer: one look, far cheaper than reading each attribute."""
    return data.find(_IN_ALL_KEYS, start, end) >= 0


def find_peer(texts: Mapping[bytes, bytes | int]) -> bytes:
    """Return the address (16 bytes, IPv4 mapped) that attributes of PEER_KEYS name; nothing where they name none."""
    for key in PEER_KEYS:
        text = texts.get(key)
        if text and isinstance(text, bytes):
            return pack_address(text.decode("ascii", "replace"))
    return b""


@functools.lru_cache(_CACHED_ADDRESSES)
def pack_address(text: str) -> bytes:
    """Return the address as 16 bytes, IPv4 mapped; nothing where it is none."""
    try:
        packed = ip_address(text).packed
    except ValueError:
        return b""
    return packed if len(packed) == ADDRESS_BYTES else _MAPPED + packed
