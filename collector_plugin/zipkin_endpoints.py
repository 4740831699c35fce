"""Zipkin's endpoints of OTLP attributes, and attributes of endpoints.

Pure. The order of the attributes that may name the other side is that of OpenTelemetry's mapping to Zipkin; the
attributes of an endpoint are those of today's semantic conventions, which the Collector writes too.
"""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, ip_address

PEER_NAMES = (
    "peer.service",
    "server.address",
    "net.peer.name",
    "network.peer.address",
    "server.socket.domain",
    "server.socket.address",
    "net.sock.peer.name",
    "net.sock.peer.addr",
    "peer.hostname",
    "peer.address",
    "db.name",
)
"""The first that a span has names its remote endpoint."""

_PEER_ADDRESSES = (
    ("network.peer.address", "network.peer.port"),
    ("server.socket.address", "server.socket.port"),
    ("net.sock.peer.addr", "net.sock.peer.port"),
    ("net.peer.ip", "net.peer.port"),
)
_LOCAL_ADDRESSES = (
    ("network.local.address", "network.local.port"),
    ("net.sock.host.addr", "net.sock.host.port"),
    ("net.host.ip", "net.host.port"),
)
"""Each with its port."""

_MAX_PORT = 65535
_PORT_DIGITS = 5

Endpoint = dict[str, str | int]
"""As it stands in JSON."""


def write_local(service: str, tags: Mapping[str, str]) -> Endpoint:
    """Return the local endpoint; the name in small letters, as Zipkin keeps it."""
    return {"serviceName": service.lower(), **_find_address(tags, _LOCAL_ADDRESSES)}


def write_remote(kind: str, tags: Mapping[str, str]) -> Endpoint:
    """Return the remote endpoint of a span, empty where nothing names one.

    Who is called names the other side by any attribute; who was called only by its service and its address, for
    `server.address` is its own then. A local span has none: with two names it would be an edge of the graph.
    """
    if not kind:
        return {}
    endpoint = _find_address(tags, _PEER_ADDRESSES)
    if kind in ("CLIENT", "PRODUCER"):
        name = next((tags[key] for key in PEER_NAMES if tags.get(key)), "")
    else:
        name = tags.get("peer.service", "")
    if name and not (endpoint and _read_address(name)):
        return {"serviceName": name.lower(), **endpoint}
    return endpoint


def list_attributes(
    local: Mapping[str, str | int], remote: Mapping[str, str | int]
) -> Iterator[tuple[str, str | int]]:
    """Yield the attributes of a span's endpoints; of two addresses the one of version 4."""
    if remote.get("serviceName"):
        yield "peer.service", remote["serviceName"]
    for side, endpoint in (("local", local), ("peer", remote)):
        address = endpoint.get("ipv4") or endpoint.get("ipv6")
        if address:
            yield f"network.{side}.address", address
        if endpoint.get("port"):
            yield f"network.{side}.port", endpoint["port"]


def _find_address(tags: Mapping[str, str], keys: tuple[tuple[str, str], ...]) -> Endpoint:
    for address_key, port_key in keys:
        address = _read_address(tags.get(address_key, ""))
        if address:
            port = tags.get(port_key, "")
            is_port = port.isascii() and port.isdigit() and len(port) <= _PORT_DIGITS and 0 < int(port) <= _MAX_PORT
            return {**address, "port": int(port)} if is_port else address
    return {}


def _read_address(text: str) -> Endpoint:
    try:
        address = ip_address(text)
    except ValueError:
        return {}
    return {"ipv4" if isinstance(address, IPv4Address) else "ipv6": str(address)}
