"""Joins the nodes by VXLAN as flannel does: a device, permanent routes, neighbours and forwarding entries.

Turns the topology into lines of ip(8) and bridge(8); no IO.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from testbed.topology import (
    NODES,
    OVERLAY_DEVICE,
    OVERLAY_MTU_BYTES,
    UNDERLAY_DEVICE,
    VXLAN_ID,
    VXLAN_PORT,
    Node,
)


@dataclass(frozen=True)
class Overlay:
    """How pods of different nodes reach each other: by default as flannel's VXLAN backend has it."""

    vxlan_port: int = VXLAN_PORT
    has_device: bool = True
    """False: no tunnel at all, as flannel's host-gw."""
    is_direct: bool = False
    """The routes go past the device by the underlay, as with flannel's DirectRouting."""
    underlay_device: str = UNDERLAY_DEVICE
    ends: tuple[tuple[Node, IPv4Address | IPv6Address], ...] = ()
    """The tunnel's addresses, where they are not those of the underlay device: the tunnel is then bound to none."""

    def end_of(self, node: Node) -> IPv4Address | IPv6Address:
        return dict(self.ends).get(node, node.underlay_address)


FLANNEL = Overlay()


def render_overlay_links(node: Node, overlay: Overlay = FLANNEL) -> list[str]:
    """Return the lines of `ip -batch` that give a node its VXLAN device and the ways to the other nodes."""
    lines = _render_device(node, overlay) if overlay.has_device else []
    return lines + [f"route add {route}" for route in _list_routes(node, overlay)]


def render_other_routes(node: Node, overlay: Overlay) -> list[str]:
    """Return the lines of `ip -batch` that lead to the other nodes as the overlay has it, and not as before."""
    return [f"route replace {route}" for route in _list_routes(node, overlay)]


def _list_routes(node: Node, overlay: Overlay) -> list[str]:
    if overlay.is_direct or not overlay.has_device:
        near = f"dev {overlay.underlay_device}"
        return [f"{other.pod_network} via {other.underlay_address} {near}" for other in _list_others(node)]
    return [
        f"{other.pod_network} via {other.overlay_address} dev {OVERLAY_DEVICE} onlink" for other in _list_others(node)
    ]


def _render_device(node: Node, overlay: Overlay) -> list[str]:
    bound = "" if overlay.ends else f"dev {overlay.underlay_device} "
    ends = f"{bound}local {overlay.end_of(node)} dstport {overlay.vxlan_port}"
    tunnel = f"vxlan id {VXLAN_ID} {ends} nolearning"
    lines = [
        f"link add {OVERLAY_DEVICE} address {node.overlay_mac} mtu {OVERLAY_MTU_BYTES} type {tunnel}",
        f"addr add {node.overlay_address}/32 dev {OVERLAY_DEVICE}",
        f"link set {OVERLAY_DEVICE} up",
    ]
    return lines + [
        f"neigh add {other.overlay_address} lladdr {other.overlay_mac} dev {OVERLAY_DEVICE} nud permanent"
        for other in _list_others(node)
    ]


def render_overlay_forwarding(node: Node, overlay: Overlay = FLANNEL) -> list[str]:
    """Return the lines of `bridge -batch` that tell which node has which inner MAC."""
    if not overlay.has_device:
        return []
    return [
        f"fdb append {other.overlay_mac} dev {OVERLAY_DEVICE} dst {overlay.end_of(other)}"
        for other in _list_others(node)
    ]


def _list_others(node: Node) -> list[Node]:
    return [other for other in NODES if other != node]
