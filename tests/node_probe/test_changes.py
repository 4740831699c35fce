"""Which of rtnetlink's messages are news: those that a plan depends on."""

import socket
import struct

import pytest

from node_probe.changes import is_change
from node_probe.rtnetlink import Message, make_attribute

NEWLINK, DELLINK, NEWADDR, NEWROUTE, DELROUTE, NEWNEIGH, DELNEIGH = 16, 17, 20, 24, 25, 28, 29
NEWRULE, NEWNEXTHOP = 32, 104
PERMANENT, NOARP, REACHABLE, STALE = 0x80, 0x40, 0x02, 0x04
NDA_DST, NDA_LLADDR = 1, 2
RTA_DST = 1
UNICAST, LOCAL, ANYCAST, MULTICAST, UNREACHABLE = 1, 2, 4, 5, 7
ANY = bytes([socket.AF_INET, *bytes(15)])


def neighbour(family: int, state: int, *, destination: bool) -> bytes:
    attributes = make_attribute(NDA_LLADDR, bytes(6))
    if destination:
        attributes += make_attribute(NDA_DST, bytes([192, 0, 2, 1]))
    return struct.pack("=BxxxiHBB", family, 7, state, 0, 0) + attributes


def route(kind: int, destination: str = "") -> bytes:
    family = socket.AF_INET6 if ":" in destination else socket.AF_INET
    attributes = make_attribute(RTA_DST, socket.inet_pton(family, destination)) if destination else b""
    return struct.pack("=8BI", family, 64, 0, 0, 254, 0, 0, kind, 0) + attributes


CASES = [
    ("a device comes", NEWLINK, bytes(16), True),
    ("a device goes", DELLINK, bytes(16), True),
    ("a bridge's port changes its state", NEWLINK, bytes([socket.AF_BRIDGE, *bytes(15)]), False),
    ("an address comes", NEWADDR, ANY, True),
    ("a default route comes", NEWROUTE, route(UNICAST), True),
    ("a route comes", NEWROUTE, route(UNICAST, "10.244.2.0"), True),
    ("an IPv6 route comes", NEWROUTE, route(UNICAST, "2001:db8:2::"), True),
    ("a way is closed", NEWROUTE, route(UNREACHABLE, "2001:db8:2::"), True),
    ("an IPv6 route goes", DELROUTE, route(UNICAST, "2001:db8:2::"), True),
    ("an address brings a route to itself", NEWROUTE, route(LOCAL, "2001:db8::1"), False),
    ("a subnet brings a route to its routers", NEWROUTE, route(ANYCAST, "2001:db8::"), False),
    ("a device brings one to its multicasts", NEWROUTE, route(MULTICAST, "ff00::"), False),
    ("a device brings one to its own link", NEWROUTE, route(UNICAST, "fe80::"), False),
    ("a route is cut short", NEWROUTE, bytes(11), False),
    ("a rule comes", NEWRULE, ANY, True),
    ("a next hop comes", NEWNEXTHOP, ANY, True),
    ("a neighbour answers", NEWNEIGH, neighbour(socket.AF_INET, REACHABLE, destination=True), False),
    ("a neighbour is silent", DELNEIGH, neighbour(socket.AF_INET6, STALE, destination=True), False),
    ("a bridge learns an address", NEWNEIGH, neighbour(socket.AF_BRIDGE, REACHABLE, destination=False), False),
    ("an overlay learns a peer", NEWNEIGH, neighbour(socket.AF_BRIDGE, REACHABLE, destination=True), False),
    ("an overlay is told a peer", NEWNEIGH, neighbour(socket.AF_BRIDGE, PERMANENT, destination=True), True),
    ("an overlay is told it otherwise", NEWNEIGH, neighbour(socket.AF_BRIDGE, NOARP, destination=True), True),
    ("an overlay's peer goes", DELNEIGH, neighbour(socket.AF_BRIDGE, PERMANENT, destination=True), True),
    ("a neighbour is cut short", NEWNEIGH, bytes([socket.AF_BRIDGE, 0]), False),
    ("a message is empty", NEWLINK, b"", False),
]


@pytest.mark.parametrize(("kind", "body", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_news_are_told_from_noise(kind: int, body: bytes, *, expected: bool) -> None:
    """What a busy node says all the time, and no plan depends on, is no change."""
    assert is_change(Message(kind, 0, body)) is expected
