"""Messages of TLS on their way: at every point, inside and outside of the tunnel, in both families, behind DNAT."""

import itertools

import pytest

from node_probe.kernel_burst import BurstKind
from node_probe.transit import Point, TransitFlag, Tunnel
from tests.kernel.bpf_harness import Harness
from tests.kernel.packets import NODE_1, NODE_1_6, NODE_2, NODE_2_6, internet, tcp, vxlan
from tests.kernel.test_families import INSIDE, OUTSIDE, packed
from tests.kernel.tls_talk import SERVER_PORT, TlsConnection, count_flows, read_bursts, records

pytestmark = pytest.mark.bpf

BACKEND = {"IPv4": "10.244.2.20", "IPv6": "fd00:10:244:2::20"}
"""What the service's address stands for: the client's packets have it behind their first point alone."""

NODES = {"IPv4": (NODE_1, NODE_2), "IPv6": (NODE_1_6, NODE_2_6)}


@pytest.mark.parametrize(("inside", "outside"), list(itertools.product(INSIDE, OUTSIDE)))
def test_whole_way(flows: Harness, port: int, inside: str, outside: str) -> None:
    """Request and response leave a record on each side with all points in order, behind DNAT and in the tunnel."""
    client, server = INSIDE[inside]
    node_1, node_2 = NODES[outside]
    backend = BACKEND[inside]
    connection = TlsConnection(flows, port, client=client, server=server, backend=backend).shake_hands()
    begun = connection.ask(records(100), "pod_egress")
    there = internet(tcp(records(100), (port, SERVER_PORT), begun, connection.server_seq), 6, client, backend)
    for program in ("veth_ingress", "overlay_egress"):
        flows.watch(program, there)
    flows.watch("nic_egress", vxlan(there, vni=9, source=node_1, destination=node_2))
    back = internet(
        tcp(records(200), (SERVER_PORT, port), connection.server_seq, connection.client_seq), 6, backend, client
    )
    flows.watch("nic_ingress", vxlan(back, vni=9, source=node_2, destination=node_1))
    for program in ("overlay_ingress", "veth_egress", "pod_ingress"):
        flows.watch(program, back)
    request, response = read_bursts(flows)
    assert [stamp.point for stamp in request.stamps + response.stamps] == list(Point)
    assert (request.source_address, request.destination_address) == (packed(client), packed(server))
    assert (response.source_address, response.destination_address) == (packed(backend), packed(client))
    assert (request.source_port, response.destination_port) == (port, port)
    for burst in (request, response):
        assert (burst.kind, burst.number, burst.flags) == (BurstKind.START, 1, TransitFlag.TLS)
        assert (burst.tunnel, burst.vni) == (Tunnel.VXLAN, 9)
    assert (request.outer_source, request.outer_destination) == (packed(node_1), packed(node_2))
    assert (response.outer_source, response.outer_destination) == (packed(node_2), packed(node_1))
    assert flows.list_transits() == {}


def test_routed_without_overlay(flows: Harness, port: int) -> None:
    """At the underlay device a packet outside any tunnel is itself the packet."""
    connection = TlsConnection(flows, port).shake_hands()
    seq, ack = connection.ask(records(100), "veth_ingress_first"), connection.server_seq
    flows.watch(
        "nic_egress", internet(tcp(records(100), (port, SERVER_PORT), seq, ack), 6, connection.client, "10.1.2.3")
    )
    (request,) = read_bursts(flows)
    assert [stamp.point for stamp in request.stamps] == [Point.VETH_INGRESS, Point.NIC_EGRESS]
    assert request.tunnel == Tunnel.NONE


def test_message_that_meets_no_last_point(flows: Harness, port: int) -> None:
    """It is swept, and says so."""
    connection = TlsConnection(flows, port).shake_hands()
    connection.ask(records(100), "pod_egress", "veth_ingress")
    assert read_bursts(flows) == []
    flows.sweep()
    (request,) = read_bursts(flows)
    assert request.flags == TransitFlag.TLS | TransitFlag.PARTIAL
    assert len(request.stamps) == 2


def test_follower_is_told_of_at_its_first_point(flows: Harness, port: int) -> None:
    """Nothing waits for it, so it leaves before the burst's own record does; at other points it is nothing."""
    connection = TlsConnection(flows, port).shake_hands()
    begun = connection.ask(records(100), "pod_egress")
    connection.ask(records(50), "pod_egress", "veth_ingress", "pod_ingress")
    (follower,) = read_bursts(flows)
    assert (follower.kind, follower.seq) == (BurstKind.FOLLOWER, begun)
    assert [stamp.point for stamp in follower.stamps] == [Point.POD_EGRESS]
    assert len(flows.list_transits()) == 1


def test_two_connections_of_one_client_port(flows: Harness, port: int) -> None:
    """A port may have connections to several servers at once; each has bursts of its own."""
    one = TlsConnection(flows, port).shake_hands()
    other = TlsConnection(flows, port, server="10.96.0.21", seq=100_000, ack=200_000).shake_hands()
    for connection in (one, other, one, other):
        connection.talk()
    numbers = [(burst.destination_address[-1], burst.number) for burst in read_bursts(flows)[::2]]
    assert numbers == [(20, 1), (21, 1), (20, 2), (21, 2)]
    assert count_flows(flows) == {"tls_flow": 8}
