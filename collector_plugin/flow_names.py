"""Which flow a CLIENT span says that its request went by, and whether that has one request at a time.

Pure. Addresses are those of the span's own machine: what a span names as its client's end is where the packets of its
connection come from.
"""

import functools
from collections.abc import Iterable, Mapping
from ipaddress import ip_address

from collector_plugin.flow_settings import FlowAttributes
from collector_plugin.reasons import ClaimReason
from collector_plugin.span_attributes import AttributePicker, Value
from collector_plugin.span_peers import PEER_KEYS, pack_address
from collector_plugin.span_walk import are_lawful
from hopspan.flow_claims import ANY_ADDRESS, IntervalClaim
from hopspan.values import MAX_PORT
from node_probe.transit import SAMPLED_FLAG

NamedFlow = IntervalClaim | ClaimReason
"""What a CLIENT span says: its claim, or why there is none."""

_End = tuple[bytes, int]
"""Address (16 bytes) and port."""

_NOWHERE: _End = (ANY_ADDRESS, 0)
_CACHED = 16_384
"""Connections that are kept read, some 500 bytes each."""

_MAX_TEXT_BYTES = 64
"""Of an end; an IPv6 address with brackets, zone and port has less."""


class FlowNames:
    """Reads flows from attributes by a configuration."""

    def __init__(self, attributes: FlowAttributes) -> None:
        """Look for these attributes."""
        self._client = _list_keys(attributes.client, "port")
        self._server = _list_keys(attributes.server, "port")
        self._protocol = _list_keys(attributes.protocol, "name")
        keys = {key for pair in (*self._client, *self._server, *self._protocol) for key in pair}
        self.keys = tuple(sorted(key.decode() for key in keys))
        """All that `read` looks at."""
        self.picker = AttributePicker(sorted(keys.union(PEER_KEYS)))
        """Picks the attributes that `read` looks at, and those that name a span's peer."""
        # What a connection's spans say is the same for all of them.
        self._find_known = functools.lru_cache(_CACHED)(self._find)

    def read(self, ids: tuple[bytes, bytes], start_ns: int, end_ns: int, values: Mapping[bytes, Value]) -> NamedFlow:
        """Return what a CLIENT span with the ids (trace, span), times and attributes says."""
        flow = self._find_known(tuple(values.items()))
        if isinstance(flow, ClaimReason):
            return flow
        if not 0 < start_ns <= end_ns or not are_lawful(*ids):
            return ClaimReason.UNREADABLE
        (address, port), (server_address, server_port), is_one_at_a_time = flow
        return IntervalClaim(
            *ids, SAMPLED_FLAG, address, port, server_address, server_port, start_ns, end_ns, is_one_at_a_time
        )

    def _find(self, items: tuple[tuple[bytes, Value], ...]) -> tuple[_End, _End, bool] | ClaimReason:
        values = dict(items)
        client = _read_first(self._client, values)
        if client is None:
            return ClaimReason.UNNAMED
        address, port = client
        if not port:
            return ClaimReason.UNREADABLE
        if _is_loopback(address):
            return ClaimReason.LOOPBACK
        return client, _read_first(self._server, values) or _NOWHERE, self._has_one_at_a_time(values)

    def _has_one_at_a_time(self, values: Mapping[bytes, Value]) -> bool:
        for key, name in self._protocol:
            value = values.get(key)
            if isinstance(value, bytes) and value:
                # Version 1.0 is also that of other protocols.
                is_http = values.get(name, b"http") in (b"http", b"HTTP")
                return is_http and value.upper().removeprefix(b"HTTP/")[:2] in (b"1", b"1.")
        return False


def _list_keys(names: Iterable[str], neighbour: str) -> list[tuple[bytes, bytes]]:
    """Return each name and that of its neighbour, which has another last part."""
    pairs = []
    for name in names:
        before, _, _ = name.rpartition(".")
        pairs.append((name.encode(), f"{before}.{neighbour}".encode()))
    return pairs


def _read_first(keys: Iterable[tuple[bytes, bytes]], values: Mapping[bytes, Value]) -> _End | None:
    """Return address (16 bytes) and port of the first attribute that is there and not empty, None where none is.

    The port is 0 where what is there cannot be read.
    """
    for key, port_key in keys:
        value = values.get(key)
        if isinstance(value, bytes) and value:
            return _read_end(value, values.get(port_key, b"")) or _NOWHERE
    return None


def _read_end(text: bytes, port: Value) -> _End | None:
    """Return the end of `a.b.c.d:port`, `[IPv6]:port`, or an address with its port beside it."""
    if len(text) > _MAX_TEXT_BYTES:
        return None
    host = text.decode("ascii", "replace")
    if host.startswith("["):
        host, _, beside = host[1:].partition("]")
        port = beside.removeprefix(":").encode() or port
    elif host.count(":") == 1:
        host, _, beside = host.partition(":")
        port = beside.encode()
    address, number = pack_address(host), _read_port(port)
    return (address, number) if address and number else None


def _read_port(port: Value) -> int:
    if isinstance(port, bytes):
        port = int(port) if port.isdigit() and len(port) <= len(str(MAX_PORT)) else 0
    return port if 0 < port <= MAX_PORT else 0


def _is_loopback(address: bytes) -> bool:
    end = ip_address(address)
    mapped = getattr(end, "ipv4_mapped", None)
    return (mapped or end).is_loopback
