"""Names the hop between two successive points of one node: the table of the design.

Pure. The plugin imports it for its spans, the probe for its table and its histograms, so that all three agree. The
wire, which lies between two nodes, has its name in the plugin.
"""

from node_probe.transit import Point, Tunnel

VETH_HOP = "veth-hop"
HOST_FORWARD = "host-forward"
"""Bridge, routing, netfilter; and whatever lies between two points that have one between them which saw nothing."""

_VETH_ENDS = frozenset({(Point.POD_EGRESS, Point.VETH_INGRESS), (Point.VETH_EGRESS, Point.POD_INGRESS)})
_TUNNEL_ENDS = {
    (Point.OVERLAY_EGRESS, Point.NIC_EGRESS): "encap",
    (Point.NIC_INGRESS, Point.OVERLAY_INGRESS): "decap",
}


def name_hop(start: Point, stop: Point, tunnel: Tunnel) -> tuple[str, bool]:
    """Return the hop's name, and whether the packet got or lost the outer header of `tunnel` on the way."""
    if (start, stop) in _VETH_ENDS:
        return VETH_HOP, False
    end = _TUNNEL_ENDS.get((start, stop))
    if end is not None and tunnel is not Tunnel.NONE:
        return f"{tunnel.name.lower()}-{end}", True
    return HOST_FORWARD, False
