"""IPv4 and IPv6 inside and outside, extension headers, and VLAN tags, packet by packet."""

import ipaddress
import itertools
import struct

import pytest

from node_probe.transit import Direction, Point, Tunnel
from tests.kernel.bpf_harness import Harness
from tests.kernel.packets import (
    ACK,
    CLIENT,
    CLIENT_6,
    CLIENT_PORT,
    NODE_1,
    NODE_1_6,
    NODE_2,
    NODE_2_6,
    PARENT_ID,
    SEQ,
    SERVER,
    SERVER_6,
    ethernet,
    internet,
    ipv6,
    request,
    request_6,
    response,
    tagged,
    tcp,
    traced_request,
    vxlan,
)

pytestmark = pytest.mark.bpf

INSIDE = {"IPv4": (CLIENT, SERVER), "IPv6": (CLIENT_6, SERVER_6)}
OUTSIDE = {"IPv4": (NODE_1, NODE_2), "IPv6": (NODE_1_6, NODE_2_6)}


def packed(address: str) -> bytes:
    """Return the 16 bytes of an address, IPv4 mapped."""
    parsed = ipaddress.ip_address(address)
    return parsed.packed if parsed.version == 6 else bytes(10) + b"\xff\xff" + parsed.packed


@pytest.mark.parametrize(("inside", "outside"), list(itertools.product(INSIDE, OUTSIDE)))
def test_whole_way(bpf: Harness, port: int, inside: str, outside: str) -> None:
    """Every mixture of families leaves a record on each side, with all addresses in full."""
    client, server = INSIDE[inside]
    node_1, node_2 = OUTSIDE[outside]
    frame = internet(tcp(traced_request(), (port, 80), SEQ, ACK), 6, client, server)
    for program in ("pod_egress", "veth_ingress", "overlay_egress"):
        bpf.watch(program, frame)
    bpf.watch("nic_egress", vxlan(frame, vni=9, source=node_1, destination=node_2))
    back = response(client_port=port, client=client, server=server)
    bpf.watch("nic_ingress", vxlan(back, vni=9, source=node_2, destination=node_1))
    for program in ("overlay_ingress", "veth_egress", "pod_ingress"):
        bpf.watch(program, back)
    there, answer = bpf.read_transits()
    assert [s.point for s in there.stamps + answer.stamps] == list(Point)
    assert (there.direction, answer.direction) == (Direction.REQUEST, Direction.RESPONSE)
    assert {there.context.parent_id.hex(), answer.context.parent_id.hex()} == {PARENT_ID}
    for transit in (there, answer):
        assert (transit.client_address, transit.server_address) == (packed(client), packed(server))
        assert (transit.client_port, transit.server_port) == (port, 80)
        assert (transit.tunnel, transit.vni) == (Tunnel.VXLAN, 9)
    assert (there.outer_source, there.outer_destination) == (packed(node_1), packed(node_2))
    assert (answer.outer_source, answer.outer_destination) == (packed(node_2), packed(node_1))


def test_routed_without_overlay(bpf: Harness, port: int) -> None:
    """At the underlay device an IPv6 packet outside any tunnel is itself the packet."""
    frame = request_6(traced_request(), client_port=port)
    for program in ("pod_egress", "nic_egress"):
        bpf.watch(program, frame)
    (transit,) = bpf.read_transits()
    assert transit.tunnel == Tunnel.NONE
    assert transit.outer_source == bytes(10) + b"\xff\xff" + bytes(4)


def test_addresses_that_differ_in_any_bit_are_others(bpf: Harness, port: int) -> None:
    """The response to another address does not find the exchange, whichever of its 128 bits is another."""
    bpf.watch("pod_egress", request_6(traced_request(), client_port=port))
    client = int(ipaddress.IPv6Address(CLIENT_6))
    for bit in range(128):
        other = str(ipaddress.IPv6Address(client ^ 1 << bit))
        back = response(client_port=port, client=other, server=SERVER_6)
        bpf.watch("nic_ingress", vxlan(back))
    assert bpf.counts() == {"transits_started": 1, "response_no_exchange": 128}


def extended(*kinds: int, last: int = 6, fragment: int = 0) -> tuple[int, bytes]:
    """Return the first protocol number and the extension headers, of 16 bytes each, fragment headers of 8."""
    data = b""
    for kind, following in zip(kinds, [*kinds, last][1:], strict=True):
        data += struct.pack("!BBHI", following, 0 if kind == 44 else 1, fragment, 1) + (
            b"" if kind == 44 else bytes(8)
        )
    return (kinds or (last,))[0], data


@pytest.mark.parametrize(
    ("kinds", "fragment", "counts"),
    [
        ((), 0, {"transits_started": 1}),
        ((0,), 0, {"transits_started": 1}),
        ((60, 43), 0, {"transits_started": 1}),
        ((44,), 1, {"transits_started": 1}),
        ((44,), 8, {}),
        ((0, 60, 43), 0, {}),
    ],
    ids=["none", "hop by hop", "two", "first fragment", "later fragment", "more than are read"],
)
def test_extension_headers(
    bpf: Harness, port: int, kinds: tuple[int, ...], fragment: int, counts: dict[str, int]
) -> None:
    """Up to two extension headers are stepped over; later fragments have no header to read."""
    protocol, extensions = extended(*kinds, fragment=fragment)
    segment = tcp(traced_request(), (port, 80), SEQ, ACK)
    frame = ethernet(ipv6(segment, protocol, CLIENT_6, SERVER_6, extensions=extensions), 0x86DD)
    for program in ("pod_egress", "veth_ingress", "pod_ingress"):
        bpf.watch(program, frame)
    assert bpf.counts() == (counts | {"transits_emitted": 1} if counts else {})


def test_length_of_0_is_that_of_the_packet(bpf: Harness, port: int) -> None:
    """Packets of more than 64 KiB (BIG TCP) have no length in their header."""
    segment = tcp(traced_request(), (port, 80), SEQ, ACK)
    bpf.watch("pod_egress", ethernet(ipv6(segment, 6, CLIENT_6, SERVER_6, length=0), 0x86DD))
    assert bpf.counts() == {"transits_started": 1}


def test_not_tcp(bpf: Harness) -> None:
    """Other protocols over IPv6 are left alone."""
    for protocol in (17, 58, 59):
        for program in ("pod_egress", "veth_ingress", "nic_egress"):
            bpf.watch(program, ethernet(ipv6(b"GET / HTTP/1.1\r\n" * 8, protocol, CLIENT_6, SERVER_6), 0x86DD))
    assert bpf.counts() == {}


@pytest.mark.parametrize("tags", [(5,), (5, 4000)], ids=["one tag", "two tags"])
@pytest.mark.parametrize("ether_type", [0x8100, 0x88A8])
@pytest.mark.parametrize("client", [CLIENT, CLIENT_6])
def test_vlan_tags(bpf: Harness, port: int, tags: tuple[int, ...], ether_type: int, client: str) -> None:
    """Tags in the packet are stepped over, at every point, in front of a tunnel and of the packet itself."""
    server = SERVER_6 if ":" in client else SERVER
    frame = internet(tcp(traced_request(), (port, 80), SEQ, ACK), 6, client, server)
    for program in ("pod_egress", "veth_ingress"):
        bpf.watch(program, tagged(frame, *tags, ether_type=ether_type))
    bpf.watch("nic_egress", tagged(vxlan(frame), *tags, ether_type=ether_type))
    (transit,) = bpf.read_transits()
    assert [s.point for s in transit.stamps] == [1, 2, 4]
    assert transit.tunnel == Tunnel.VXLAN
    assert transit.outer_source == packed(NODE_1)


def test_three_tags_are_more_than_anybody_has(bpf: Harness) -> None:
    """What lies behind a third tag is not looked for."""
    bpf.watch("pod_egress", tagged(request(traced_request(), client_port=CLIENT_PORT), 1, 2, 3))
    assert bpf.counts() == {}


def test_tag_in_front_of_another_protocol(bpf: Harness) -> None:
    """ARP behind a tag is left alone."""
    bpf.watch("nic_ingress", tagged(ethernet(bytes(46), 0x0806), 5))
    assert bpf.counts() == {}
