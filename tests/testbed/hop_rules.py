"""The hops that design and docs promise for an exchange of the testbed, and what holds for every network span.

Values and checks: no IO. Written from the topology, not from what the product says.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from testbed.topology import (
    CART,
    CART_SERVICE,
    CATALOG,
    CATALOG_SERVICE,
    FRONTEND,
    NODE_1,
    NODE_2,
    OVERLAY_DEVICE,
    POD_DEVICE,
    SIDECAR_INBOUND_PORT,
    UNDERLAY_DEVICE,
    VXLAN_ID,
    Node,
    Service,
)
from tests.testbed.otlp_peer import Received, Value


@dataclass(frozen=True)
class Hop:
    """One hop of an exchange: name, points, node and device, and whether its packet was in the tunnel."""

    direction: str
    name: str
    start: str
    stop: str
    node: Node
    device: str
    in_tunnel: bool = False
    is_far: bool = False
    """Placed by the clock of the other node than the parent's."""


def _list_way(direction: str, sender: tuple[Node, str], receiver: tuple[Node, str]) -> tuple[Hop, ...]:
    """Return the hops of a message between two nodes; each end is a node and its pod's host veth."""
    (here, veth), (there, other_veth) = sender, receiver
    far = [direction == "response"] * 3 + [True] + [direction == "request"] * 3
    ways = (
        ("veth-hop", "pod-egress", "veth-ingress", here, veth, False),
        ("host-forward", "veth-ingress", "overlay-egress", here, OVERLAY_DEVICE, False),
        ("vxlan-encap", "overlay-egress", "nic-egress", here, UNDERLAY_DEVICE, True),
        ("underlay", "nic-egress", "nic-ingress", here, UNDERLAY_DEVICE, True),
        ("vxlan-decap", "nic-ingress", "overlay-ingress", there, OVERLAY_DEVICE, True),
        ("host-forward", "overlay-ingress", "veth-egress", there, other_veth, False),
        ("veth-hop", "veth-egress", "pod-ingress", there, POD_DEVICE, False),
    )
    return tuple(Hop(direction, *way, is_far) for way, is_far in zip(ways, far, strict=True))


def _list_way_on_node(direction: str, veth: str, other_veth: str) -> tuple[Hop, ...]:
    return (
        Hop(direction, "veth-hop", "pod-egress", "veth-ingress", NODE_1, veth),
        Hop(direction, "host-forward", "veth-ingress", "veth-egress", NODE_1, other_veth),
        Hop(direction, "veth-hop", "veth-egress", "pod-ingress", NODE_1, POD_DEVICE),
    )


_CLIENT, _SERVER = (NODE_1, FRONTEND.host_veth), (NODE_2, CART.host_veth)
CART_HOPS = _list_way("request", _CLIENT, _SERVER) + _list_way("response", _SERVER, _CLIENT)
CATALOG_HOPS = _list_way_on_node("request", FRONTEND.host_veth, CATALOG.host_veth) + _list_way_on_node(
    "response", CATALOG.host_veth, FRONTEND.host_veth
)

PARENTS = {"router cart egress": CART_SERVICE, "router catalog egress": CATALOG_SERVICE}
"""Names of the CLIENT spans of frontend's sidecar, whose ids the packets carry, and the service that each asks."""


def find_parents(spans: Iterable[Received]) -> dict[bytes, Received]:
    """Return the CLIENT spans that must have hops, by span id."""
    return {
        received.span.span_id: received
        for received in spans
        if received.service == FRONTEND.service
        and received.span.kind == Span.SPAN_KIND_CLIENT
        and received.span.name in PARENTS
    }


def list_children(spans: Iterable[Received], parent: Received) -> list[Received]:
    """Return the network spans of a parent in order of time."""
    found = [
        received
        for received in spans
        if received.is_network
        and received.span.parent_span_id == parent.span.span_id
        and received.span.trace_id == parent.span.trace_id
    ]
    return sorted(found, key=lambda received: received.span.start_time_unix_nano)


def render_attributes(hop: Hop, service: Service, client_port: Value) -> dict[str, Value]:
    """Return all attributes that the hop's span must have, but its duration."""
    # A request is seen before DNAT up to the client's own wire; a response carries the server pod's own address,
    # since its first point on either node comes before the way back through NAT.
    is_translated = hop.direction == "response" or hop.is_far
    server: tuple[Value, Value] = (str(service.cluster_address), service.port)
    if is_translated:
        server = (str(service.pod.address), SIDECAR_INBOUND_PORT)
    client: tuple[Value, Value] = (str(FRONTEND.address), client_port)
    source, destination = (client, server) if hop.direction == "request" else (server, client)
    attributes: dict[str, Value] = {
        "hopspan.direction": hop.direction,
        "hopspan.from": hop.start,
        "hopspan.to": hop.stop,
        "hopspan.node": hop.node.name,
        "network.interface.name": hop.device,
        "source.address": source[0],
        "source.port": source[1],
        "destination.address": destination[0],
        "destination.port": destination[1],
    }
    if hop.in_tunnel:
        nodes = (NODE_1, NODE_2) if hop.direction == "request" else (NODE_2, NODE_1)
        attributes |= {
            "tunnel.type": "vxlan",
            "tunnel.id": str(VXLAN_ID),
            "tunnel.source.address": str(nodes[0].underlay_address),
            "tunnel.destination.address": str(nodes[1].underlay_address),
        }
    if hop.is_far:
        attributes["hopspan.clock.source"] = "same"
    return attributes


def check_hops(hops: Sequence[Received], expected: Sequence[Hop], parent: Received) -> None:
    """Check that a parent's network spans are the expected ones, in this order and with exactly these attributes."""
    assert [(hop.attributes["hopspan.direction"], hop.span.name) for hop in hops] == [
        (hop.direction, hop.name) for hop in expected
    ]
    client_port = hops[0].attributes["source.port"]
    service = PARENTS[parent.span.name]
    for received, hop in zip(hops, expected, strict=True):
        attributes = dict(received.attributes)
        assert isinstance(attributes.pop("hopspan.duration_ns"), int)
        assert attributes == render_attributes(hop, service, client_port)
        assert received.resource == parent.resource
        assert received.span.kind == Span.SPAN_KIND_INTERNAL
        assert received.span.flags & 0xFF == 1


def check_times(hops: Sequence[Received], parent: Received) -> None:
    """Check that hops lie inside the parent, one behind the other, and leave a remainder that is not negative."""
    total_ns = 0
    for hop in hops:
        duration_ns = read_duration_ns(hop)
        assert duration_ns >= 0
        assert parent.ends[0] <= hop.ends[0] < hop.ends[1] <= parent.ends[1]
        # Drawn with a gap to the neighbour of 1 us, and never shorter than that.
        assert hop.ends[1] - hop.ends[0] in {max(duration_ns, 1000), duration_ns - 1000}
        total_ns += duration_ns
    for hop, following in pairwise(hops):
        if hop.attributes["hopspan.direction"] == following.attributes["hopspan.direction"]:
            assert hop.ends[0] + read_duration_ns(hop) == following.ends[0]
        else:
            assert hop.ends[0] + read_duration_ns(hop) <= following.ends[0]
        assert read_duration_ns(hop) < 1000 or hop.ends[1] <= following.ends[0]
    assert total_ns <= parent.ends[1] - parent.ends[0]


def read_duration_ns(hop: Received) -> int:
    """Return a hop's exact duration."""
    duration_ns = hop.attributes["hopspan.duration_ns"]
    assert isinstance(duration_ns, int)
    return duration_ns
