"""Which of rtnetlink's messages are news: those that a plan depends on."""

import socket
import struct

import pytest

from node_probe.changes import is_change
from node_probe.rtnetlink import Message, make_attribute

NEWLINK, DELLINK, NEWADDR, NEWROUTE, NEWNEIGH, DELNEIGH, NEWRULE, NEWNEXTHOP = 16, 17, 20, 24, 28, 29, 32, 104
PERMANENT, NOARP, REACHABLE, STALE = 0x80, 0x40, 0x02, 0x04
NDA_DST, NDA_LLADDR = 1, 2
ANY = bytes([socket.AF_INET, *bytes(15)])


def neighbour(family: int, state: int, *, destination: bool) -> bytes:
    attributes = make_attribute(NDA_LLADDR, bytes(6))
    if destination:
        attributes += make_attribute(NDA_DST, bytes([192, 0, 2, 1]))
    return struct.pack("=BxxxiHBB", family, 7, state, 0, 0) + attributes


CASES = [
    ("a device comes", NEWLINK, bytes(16), True),
    ("a device goes", DELLINK, bytes(16), True),
    ("a bridge's port changes its state", NEWLINK, bytes([socket.AF_BRIDGE, *bytes(15)]), False),
    ("an address comes", NEWADDR, ANY, True),
    ("a route comes", NEWROUTE, ANY, True),
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
