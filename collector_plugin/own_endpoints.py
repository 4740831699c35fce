"""Knows endpoints by all their names: which listeners take each other's port, and which peer is a listener.

Pure, so names are not looked up: that of this machine, or an address of one of its devices, is known by nobody here.
"""

import ipaddress

from hopspan.values import Endpoint

_LOOPBACK = "localhost"
_ANY = "any"


def share_port(first: Endpoint, second: Endpoint) -> bool:
    """Tell whether one of two listeners would find its port taken by the other. Port 0 is the system's choice."""
    hosts = {_read_host(first), _read_host(second)}
    return first.port == second.port != 0 and (len(hosts) == 1 or _ANY in hosts)


def leads_to(peer: Endpoint, listener: Endpoint) -> bool:
    """Tell whether whoever connects to `peer` gets to `listener`, both on this machine."""
    host, listens_on = _read_host(peer), _read_host(listener)
    # To connect to 0.0.0.0 is to connect to this machine.
    is_near = host in (_LOOPBACK, _ANY)
    return peer.port == listener.port != 0 and (host == listens_on or (is_near and listens_on in (_LOOPBACK, _ANY)))


def _read_host(endpoint: Endpoint) -> str:
    """Return a host's one name: that of all loopback addresses, of all addresses, or its own in lower case."""
    name = endpoint.host.lower().rstrip(".")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name
    if address.is_unspecified:
        return _ANY
    return _LOOPBACK if address.is_loopback else str(address)
