"""Joins the nodes by VXLAN as flannel does: a device, permanent routes, neighbours and forwarding entries.

Turns the topology into lines of ip(8) and bridge(8); no IO.
"""

from testbed.topology import (
    NODES,
    OVERLAY_DEVICE,
    OVERLAY_MTU_BYTES,
    UNDERLAY_DEVICE,
    VXLAN_ID,
    VXLAN_PORT,
    Node,
)


def render_overlay_links(node: Node) -> list[str]:
    """Return the lines of `ip -batch` that give a node its VXLAN device and the ways to the other nodes."""
    tunnel = (
        f"vxlan id {VXLAN_ID} dev {UNDERLAY_DEVICE} local {node.underlay_address} dstport {VXLAN_PORT} nolearning"
    )
    lines = [
        f"link add {OVERLAY_DEVICE} address {node.overlay_mac} mtu {OVERLAY_MTU_BYTES} type {tunnel}",
        f"addr add {node.overlay_address}/32 dev {OVERLAY_DEVICE}",
        f"link set {OVERLAY_DEVICE} up",
    ]
    for other in _list_others(node):
        lines += [
            f"neigh add {other.overlay_address} lladdr {other.overlay_mac} dev {OVERLAY_DEVICE} nud permanent",
            f"route add {other.pod_network} via {other.overlay_address} dev {OVERLAY_DEVICE} onlink",
        ]
    return lines


def render_overlay_forwarding(node: Node) -> list[str]:
    """Return the lines of `bridge -batch` that tell which node has which inner MAC."""
    return [
        f"fdb append {other.overlay_mac} dev {OVERLAY_DEVICE} dst {other.underlay_address}"
        for other in _list_others(node)
    ]


def _list_others(node: Node) -> list[Node]:
    return [other for other in NODES if other != node]
