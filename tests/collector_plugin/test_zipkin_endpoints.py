"""Endpoints of attributes and attributes of endpoints."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_plugin.zipkin_endpoints import Endpoint, list_attributes, write_local, write_remote


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"peer.service": "Cart", "server.address": "cart.local"}, {"serviceName": "cart"}),
        ({"server.address": "cart.local", "net.peer.name": "x"}, {"serviceName": "cart.local"}),
        ({"net.peer.name": "x", "peer.address": "y"}, {"serviceName": "x"}),
        ({"db.name": "orders"}, {"serviceName": "orders"}),
        ({"server.address": "10.96.0.10"}, {"serviceName": "10.96.0.10"}),
        ({"network.peer.address": "10.96.0.10", "network.peer.port": "80"}, {"ipv4": "10.96.0.10", "port": 80}),
        ({"network.peer.address": "/run/socket"}, {"serviceName": "/run/socket"}),
        ({"net.sock.peer.addr": "fd00::1", "net.sock.peer.port": "x"}, {"ipv6": "fd00::1"}),
        ({"server.address": "cart", "net.peer.ip": "10.0.0.1"}, {"serviceName": "cart", "ipv4": "10.0.0.1"}),
        ({"network.peer.port": "80"}, {}),
        ({}, {}),
    ],
    ids=str,
)
def test_who_is_called_is_the_remote_endpoint(attributes: dict[str, str], expected: Endpoint) -> None:
    """In the specification's order; an address of the socket is told as such."""
    for kind in ("CLIENT", "PRODUCER"):
        assert write_remote(kind, attributes) == expected


def test_servers_own_address_is_not_its_callers() -> None:
    """`server.address` on a SERVER is itself: with it as remote endpoint Zipkin would draw a call of its own."""
    for kind in ("SERVER", "CONSUMER"):
        assert write_remote(kind, {"server.address": "cart"}) == {}
        both = {"peer.service": "web", "network.peer.address": "10.0.0.1"}
        assert write_remote(kind, both) == {"serviceName": "web", "ipv4": "10.0.0.1"}


def test_local_span_calls_nobody() -> None:
    """With two names Zipkin would take it for a CLIENT."""
    assert write_remote("", {"peer.service": "web", "network.peer.address": "10.0.0.1"}) == {}


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, {}),
        ({"network.local.address": "10.0.0.1", "network.local.port": "65535"}, {"ipv4": "10.0.0.1", "port": 65535}),
        ({"net.host.ip": "fd00::1", "net.host.port": "65536"}, {"ipv6": "fd00::1"}),
        ({"network.local.address": "host", "net.host.ip": "10.0.0.2"}, {"ipv4": "10.0.0.2"}),
    ],
    ids=str,
)
def test_local_endpoint(attributes: dict[str, str], expected: Endpoint) -> None:
    """The service in small letters, and the address and port that the span says are its own."""
    assert write_local("FrontEnd", attributes) == {"serviceName": "frontend", **expected}


ADDRESSES = st.ip_addresses().map(str)


@given(ADDRESSES, st.integers(1, 65535), ADDRESSES, st.integers(1, 65535), st.text("abc", max_size=3))
def test_endpoints_survive_the_way_there_and_back(
    local: str, local_port: int, peer: str, peer_port: int, service: str
) -> None:
    """Addresses, ports and the other side's name become endpoints, and endpoints become them again."""
    attributes: dict[str, str | int] = {
        "network.local.address": local,
        "network.local.port": local_port,
        "network.peer.address": peer,
        "network.peer.port": peer_port,
    }
    if service:
        attributes["peer.service"] = service
    tags = {key: str(value) for key, value in attributes.items()}
    assert dict(list_attributes(write_local("s", tags), write_remote("CLIENT", tags))) == attributes
