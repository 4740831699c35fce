"""The names of the hops within a node, as the design's table has them."""

import itertools

import pytest

from node_probe.hop_names import name_hop
from node_probe.transit import Point, Tunnel

VXLAN, NONE = Tunnel.VXLAN, Tunnel.NONE

NAMES = [
    # from, to, tunnel, name, whether the outer header comes or goes
    (Point.POD_EGRESS, Point.VETH_INGRESS, VXLAN, "veth-hop", False),
    (Point.VETH_EGRESS, Point.POD_INGRESS, NONE, "veth-hop", False),
    (Point.VETH_INGRESS, Point.OVERLAY_EGRESS, VXLAN, "host-forward", False),
    (Point.VETH_INGRESS, Point.VETH_EGRESS, NONE, "host-forward", False),
    (Point.VETH_INGRESS, Point.NIC_EGRESS, NONE, "host-forward", False),
    (Point.NIC_INGRESS, Point.VETH_EGRESS, NONE, "host-forward", False),
    (Point.OVERLAY_INGRESS, Point.VETH_EGRESS, VXLAN, "host-forward", False),
    (Point.OVERLAY_EGRESS, Point.NIC_EGRESS, VXLAN, "vxlan-encap", True),
    (Point.OVERLAY_EGRESS, Point.NIC_EGRESS, NONE, "host-forward", False),
    (Point.NIC_INGRESS, Point.OVERLAY_INGRESS, VXLAN, "vxlan-decap", True),
    (Point.NIC_INGRESS, Point.OVERLAY_INGRESS, Tunnel.IPIP, "ipip-decap", True),
    (Point.OVERLAY_EGRESS, Point.NIC_EGRESS, Tunnel.GENEVE, "geneve-encap", True),
    (Point.POD_EGRESS, Point.NIC_EGRESS, VXLAN, "host-forward", False),
]


@pytest.mark.parametrize(("start", "stop", "tunnel", "name", "is_tunnelled"), NAMES)
def test_hop_is_named_by_its_ends(start: Point, stop: Point, tunnel: Tunnel, name: str, is_tunnelled: bool) -> None:  # noqa: FBT001 - a column
    """Two points make a hop; what no other name is for is the host's."""
    assert name_hop(start, stop, tunnel) == (name, is_tunnelled)


def test_names_are_few() -> None:
    """Whatever the points and the tunnel, the names are eight: as a metric's label they cannot grow."""
    pairs = itertools.product(Point, Point, Tunnel)
    assert len({name_hop(start, stop, tunnel)[0] for start, stop, tunnel in pairs}) == 8
