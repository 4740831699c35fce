"""Networks other than the usual one, each built whole: ports, bridges, tunnels, IP versions and underlay devices.

Whatever is added lies in the nodes' namespaces and goes with them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address

from testbed.command import run_command, run_ip_batch
from testbed.errors import TestbedError
from testbed.namespace import write_sysctls
from testbed.network import add_overlay, two_nodes
from testbed.overlay import FLANNEL, Overlay
from testbed.topology import CART, FRONTEND, NODE_1, NODE_2, NODES, UNDERLAY_DEVICE, UNDERLAY_MTU_BYTES, Node, mac_of
from tests.testbed import ipv6

SECOND_UNDERLAY = "eth1"
SECOND_OVERLAY = "flannel.2"
SECOND_ADDRESSES = {NODE_1: IPv4Address("172.30.1.1"), NODE_2: IPv4Address("172.30.1.2")}
SECOND_OVERLAY_ADDRESSES = {NODE_1: IPv4Address("10.245.1.0"), NODE_2: IPv4Address("10.245.2.0")}
TUNNEL_ENDS = {NODE_1: IPv4Address("172.31.0.1"), NODE_2: IPv4Address("172.31.0.2")}
"""On the loopback device, where routers are told by which devices it can be reached."""

UPPER_UNDERLAY = "upper0"
UPPER_KINDS = ("vlan id 5", "macvlan mode bridge")
"""What can stand upon the underlay device; the first that the kernel has is taken."""

OWN_ADDRESSES = {"net/ipv4/conf/all/arp_ignore": "1"}
"""A device answers for its own addresses alone: else a macvlan's parent takes its packets."""

BY_PORTS = {"net/ipv4/fib_multipath_hash_policy": "1"}
"""Connections, not pairs of nodes, are spread over the ways: each has a UDP source port of its own in the tunnel."""


@contextmanager
def joined_nodes(overlay: Overlay = FLANNEL, *, bridged: bool = True) -> Iterator[None]:
    """Hold two nodes joined by an overlay."""
    with two_nodes(bridged=bridged):
        add_overlay(overlay)
        yield


@contextmanager
def two_overlays() -> Iterator[None]:
    """Hold two nodes with two underlay devices, an overlay over each: requests to cart go by the second alone."""
    with joined_nodes():
        _add_second_underlay()
        for node, other in ((NODE_1, NODE_2), (NODE_2, NODE_1)):
            run_ip_batch(_render_second_overlay(node, other), node.namespace)
            entry = f"fdb append {_mac(other)} dev {SECOND_OVERLAY} dst {SECOND_ADDRESSES[other]}\n"
            run_command(["bridge", "-n", node.namespace, "-batch", "-"], entry)
        way = f"via {SECOND_OVERLAY_ADDRESSES[NODE_2]} dev {SECOND_OVERLAY} onlink"
        run_ip_batch([f"route add {CART.address} {way}"], FRONTEND.node.namespace)
        yield


@contextmanager
def two_ways() -> Iterator[None]:
    """Hold two nodes whose one overlay is bound to no device: connections are spread over two underlay devices."""
    with two_nodes():
        _add_second_underlay()
        for node, other in ((NODE_1, NODE_2), (NODE_2, NODE_1)):
            write_sysctls(node.namespace, BY_PORTS)
            ways = f"nexthop via {other.underlay_address} nexthop via {SECOND_ADDRESSES[other]}"
            lines = [f"addr add {TUNNEL_ENDS[node]}/32 dev lo", f"route add {TUNNEL_ENDS[other]} {ways}"]
            run_ip_batch(lines, node.namespace)
        add_overlay(Overlay(ends=tuple(TUNNEL_ENDS.items())))
        yield


@contextmanager
def upper_underlay() -> Iterator[None]:
    """Hold two nodes whose overlay leaves by a VLAN upon the underlay device, or where there is none a macvlan."""
    with two_nodes():
        kind = next(kind for kind in UPPER_KINDS if _has_kind(kind))
        for node in NODES:
            write_sysctls(node.namespace, OWN_ADDRESSES)
            lines = [
                f"link add {UPPER_UNDERLAY} link {UNDERLAY_DEVICE} type {kind}",
                f"addr flush dev {UNDERLAY_DEVICE}",
                f"addr add {node.underlay_address}/24 dev {UPPER_UNDERLAY}",
                f"link set {UPPER_UNDERLAY} up",
            ]
            run_ip_batch(lines, node.namespace)
        add_overlay(Overlay(underlay_device=UPPER_UNDERLAY))
        yield


@contextmanager
def ipv6_pods() -> Iterator[None]:
    """Hold two nodes whose pods have IPv6 addresses too, in the usual tunnel of IPv4."""
    with joined_nodes():
        ipv6.add_addresses()
        ipv6.join_by()
        yield


@contextmanager
def both_tunnelled() -> Iterator[None]:
    """Hold two nodes of both IP versions, with a tunnel of each version for the pods' packets of the same."""
    with joined_nodes():
        ipv6.add_addresses()
        ipv6.add_second_overlay()
        ipv6.join_by(ipv6.SECOND_OVERLAY)
        yield


@contextmanager
def ipv6_tunnel() -> Iterator[None]:
    """Hold two nodes whose pods have IPv4 addresses in a tunnel of IPv6."""
    with two_nodes():
        ipv6.add_underlay()
        add_overlay(Overlay(ends=tuple((node, ipv6.underlay_address(node)) for node in NODES)))
        yield


@contextmanager
def both_routed(*, bridged: bool = True) -> Iterator[None]:
    """Hold two nodes of both IP versions, whose pods reach each other by routes without tunnel."""
    with joined_nodes(Overlay(has_device=False), bridged=bridged):
        ipv6.add_addresses(bridged=bridged)
        ipv6.join_directly()
        yield


def _has_kind(kind: str) -> bool:
    """Tell whether the kernel has devices of a kind, by making one upon an underlay device."""
    try:
        run_ip_batch([f"link add {UPPER_UNDERLAY} link {UNDERLAY_DEVICE} type {kind}"], NODE_1.namespace)
    except TestbedError:
        return False
    run_ip_batch([f"link del {UPPER_UNDERLAY}"], NODE_1.namespace)
    return True


def _mac(node: Node) -> str:
    return mac_of(SECOND_OVERLAY_ADDRESSES[node])


def _add_second_underlay() -> None:
    link = f"name {SECOND_UNDERLAY} mtu {UNDERLAY_MTU_BYTES} netns"
    run_ip_batch([f"link add {link} {NODE_1.namespace} type veth peer {link} {NODE_2.namespace}"])
    for node in NODES:
        address = f"addr add {SECOND_ADDRESSES[node]}/24 dev {SECOND_UNDERLAY}"
        run_ip_batch([address, f"link set {SECOND_UNDERLAY} up"], node.namespace)


def _render_second_overlay(node: Node, other: Node) -> list[str]:
    tunnel = f"vxlan id 2 dev {SECOND_UNDERLAY} local {SECOND_ADDRESSES[node]} dstport 8472 nolearning"
    return [
        f"link add {SECOND_OVERLAY} address {_mac(node)} mtu 1450 type {tunnel}",
        f"addr add {SECOND_OVERLAY_ADDRESSES[node]}/32 dev {SECOND_OVERLAY}",
        f"link set {SECOND_OVERLAY} up",
        f"neigh add {SECOND_OVERLAY_ADDRESSES[other]} lladdr {_mac(other)} dev {SECOND_OVERLAY} nud permanent",
    ]
