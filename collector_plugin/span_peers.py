"""Reads from the wire bytes of OTLP spans the address that a CLIENT says it called.

Pure. Only what names the other end of the socket counts: `server.address` may be behind a proxy, and is a name as a
rule. Bytes that are no span have no peer; whether they may pass is not said here.
"""

from ipaddress import ip_address

from google.protobuf.message import DecodeError
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector_plugin.span_walk import SPAN_KIND_CLIENT, SPAN_KIND_PRODUCER, Field

PEER_KEYS = ("network.peer.address", "net.sock.peer.addr", "net.peer.ip")
"""Semantic conventions since 1.21, since 1.13, and before; the first that a span has counts."""

ADDRESS_BYTES = 16
_MAPPED = bytes(10) + b"\xff\xff"
_ENCODED_KEYS = tuple(key.encode() for key in PEER_KEYS)


def read_peers(data: bytes, fields: list[Field]) -> dict[bytes, bytes]:
    """Return by trace id and span id (24 bytes) the peers (16 bytes, IPv4 mapped) of those spans that name one.

    `fields` are neighbouring fields `spans` of one ScopeSpans in `data`.
    """
    peers: dict[bytes, bytes] = {}
    if not fields or not _has_key(data, fields[0][2], fields[-1][3]):
        return peers
    for _, _, start, end in fields:
        if _has_key(data, start, end):
            try:
                span = Span.FromString(data[start:end])
            except DecodeError:
                continue
            address = _read_peer(span)
            if address:
                peers[span.trace_id + span.span_id] = address
    return peers


def _has_key(data: bytes, start: int, end: int) -> bool:
    # Far cheaper than reading every attribute of every span.
    return any(data.find(key, start, end) >= 0 for key in _ENCODED_KEYS)


def _read_peer(span: Span) -> bytes:
    if span.kind not in (SPAN_KIND_CLIENT, SPAN_KIND_PRODUCER):
        return b""
    texts = {item.key: item.value.string_value for item in span.attributes if item.key in PEER_KEYS}
    for key in PEER_KEYS:
        if texts.get(key):
            return _pack_address(texts[key])
    return b""


def _pack_address(text: str) -> bytes:
    try:
        packed = ip_address(text).packed
    except ValueError:
        return b""
    return packed if len(packed) == ADDRESS_BYTES else _MAPPED + packed
