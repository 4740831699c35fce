"""Tells that the devices, addresses or routes of a network namespace changed, not what: a subscription to rtnetlink.

What the plan does not depend on is no change: neighbours that come and go, what a bridge learns, its ports' states,
the routes that each device and address brings along.
"""

import errno
import socket
import struct

from node_probe.rtnetlink import Message, read_attributes, read_messages

# linux/rtnetlink.h: the groups LINK, NEIGH, IPV4_IFADDR, IPV4_ROUTE, IPV4_RULE, IPV6_IFADDR, IPV6_ROUTE, IPV6_RULE
# and NEXTHOP.
_GROUPS = 0x1 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 1 << 18 | 1 << 31

_LINK_KINDS = frozenset({16, 17})
_NEIGHBOUR_KINDS = frozenset({28, 29})
_NEIGHBOUR = struct.Struct("=BxxxiHBB")
_NDA_DST = 1
_LEARNT = ~(0x80 | 0x40) & 0xFF
"""Of a neighbour's states all but PERMANENT and NOARP, which somebody wrote."""

_ROUTE_KINDS = frozenset({24, 25})
_ROUTE = struct.Struct("=8BI")
_OWN_TYPES = frozenset({2, 3, 4, 5})
"""LOCAL, BROADCAST, ANYCAST and MULTICAST: what comes with an address or a device, whose own news tells of it."""
_RTA_DST = 1
_LINK_LOCAL = b"\xfe\x80"

_RECEIVE_BYTES = 1 << 16


class ChangeWatch:
    """Tells that devices, addresses or routes of the namespace changed, not what."""

    def __init__(self) -> None:
        """Subscribe in the caller's namespace."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.bind((0, _GROUPS))
        self._socket.settimeout(0)

    def drain(self) -> bool:
        """Return whether anything changed since the last call."""
        changed = False
        while True:
            try:
                data = self._socket.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                return changed
            except OSError as error:
                # ENOBUFS: more changes than the socket's buffer holds; one of them may be of those that matter.
                if error.errno != errno.ENOBUFS:
                    raise
                changed = True
            else:
                changed = changed or any(map(is_change, read_messages(data)))

    def close(self) -> None:
        """End the subscription."""
        self._socket.close()


def is_change(message: Message) -> bool:
    """Return whether a plan may differ for what the message tells."""
    if not message.body:
        return False
    family = message.body[0]
    if message.kind in _LINK_KINDS:
        # Of the family bridge: a port's state.
        return family != socket.AF_BRIDGE
    if message.kind in _ROUTE_KINDS:
        return _is_way(message.body)
    if message.kind not in _NEIGHBOUR_KINDS:
        return True
    if family != socket.AF_BRIDGE or len(message.body) < _NEIGHBOUR.size:
        return False
    state = _NEIGHBOUR.unpack_from(message.body)[2]
    # A peer of a vxlan device, which CNIs write; one that is learnt is reached by a route that is known already.
    return not state & _LEARNT and _NDA_DST in read_attributes(message.body, _NEIGHBOUR.size)


def _is_way(route: bytes) -> bool:
    """Return whether a route may lead to another node: with IPv6 each device brings two that never do."""
    if len(route) < _ROUTE.size:
        return False
    destination = read_attributes(route, _ROUTE.size).get(_RTA_DST, b"")
    return _ROUTE.unpack_from(route)[7] not in _OWN_TYPES and not destination.startswith(_LINK_LOCAL)
