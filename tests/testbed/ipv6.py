"""Gives the testbed's nodes and pods IPv6 addresses beside their others, and the ways between them.

Turns the topology into lines of ip(8), bridge(8), ip6tables and sysctls; whatever is added goes with the namespaces.
"""

from collections.abc import Iterator
from ipaddress import IPv6Address, IPv6Network

from testbed.command import run_command, run_in_namespace, run_ip_batch
from testbed.namespace import write_sysctls
from testbed.routed import list_pods
from testbed.topology import (
    BRIDGE_DEVICE,
    NODES,
    OVERLAY_DEVICE,
    OVERLAY_MTU_BYTES,
    POD_DEVICE,
    PODS,
    SIDECAR_INBOUND_PORT,
    UNDERLAY_DEVICE,
    VXLAN_ID,
    VXLAN_PORT,
    Node,
    Pod,
)
from tests.testbed.talk import Route, route_directly

UNDERLAY_NETWORK = IPv6Network("fd00:172:30::/64")
POD_NETWORK = IPv6Network("fd00:10:244::/48")
CLUSTER_NETWORK = IPv6Network("fd00:10:96::/112")
SERVICE_PORT = 80
LINK_LOCAL_GATEWAY = IPv6Address("fe80::1")
"""What the host end of a pod's veth is called where there is no bridge: each is on a link of its own."""

SECOND_OVERLAY = "flannel-v6.1"
"""Flannel's device for IPv6, whose outer packets are IPv6 too."""

OUTER_BYTES = 70
"""Around an inner packet: Ethernet (14), IPv6 (40), UDP (8) and VXLAN (8)."""

_ENABLED = {
    # Neighbour discovery passes the captures, which look at TCP alone.
    "net/ipv6/conf/all/disable_ipv6": "0",
    "net/ipv6/conf/default/disable_ipv6": "0",
    "net/ipv6/conf/all/accept_dad": "0",
    "net/ipv6/conf/default/accept_dad": "0",
    # A node that hands a pod's packet back to its bridge redirects it, and no sysctl keeps it from that.
    "net/ipv6/conf/all/accept_redirects": "0",
    "net/ipv6/conf/default/accept_redirects": "0",
}
_NODE = {"net/ipv6/conf/all/forwarding": "1"}


def underlay_address(node: Node) -> IPv6Address:
    return UNDERLAY_NETWORK[node.number]


def pod_network(node: Node) -> IPv6Network:
    return IPv6Network((POD_NETWORK[node.number << 64], 64))


def pod_address(pod: Pod) -> IPv6Address:
    return pod_network(pod.node)[pod.host_number]


def cluster_address(pod: Pod) -> IPv6Address:
    return CLUSTER_NETWORK[PODS.index(pod) + 32]


def route_to_pod(client: Pod, server: Pod) -> Route:
    """Return the route from a pod to another by its address."""
    return route_directly(client.namespace, server.namespace, pod_address(server))


def route_to_service(client: Pod, server: Pod) -> Route:
    """Return the route from a pod to a service's ClusterIP, whose one endpoint is the other pod."""
    listens_at = (str(pod_address(server)), SIDECAR_INBOUND_PORT)
    return Route(client.namespace, server.namespace, listens_at, (str(cluster_address(server)), SERVICE_PORT))


def add_addresses(*, bridged: bool = True) -> None:
    """Give nodes and pods their addresses, and each node the ways to its pods. Raises TestbedError."""
    for place in (*NODES, *PODS):
        write_sysctls(place.namespace, _ENABLED | (_NODE if place in NODES else {}))
    for node in NODES:
        run_ip_batch([*_render_underlay(node), *_render_node(node, bridged=bridged)], node.namespace)
        run_in_namespace(node.namespace, ["ip6tables-restore", "--noflush"], _render_services())
    for pod in PODS:
        run_ip_batch(_render_pod(pod, bridged=bridged), pod.namespace)


def add_underlay() -> None:
    """Give the underlay addresses, and no pod. Raises TestbedError."""
    for node in NODES:
        write_sysctls(node.namespace, _ENABLED)
        room = f"link set {UNDERLAY_DEVICE} mtu {OVERLAY_MTU_BYTES + OUTER_BYTES}"
        run_ip_batch([room, *_render_underlay(node)], node.namespace)


def join_directly() -> None:
    """Join the nodes' pods by routes without tunnel. Raises TestbedError."""
    for node, other in _list_pairs():
        way = f"via {underlay_address(other)} dev {UNDERLAY_DEVICE}"
        run_ip_batch([f"route add {pod_network(other)} {way}"], node.namespace)


def join_by(device: str = OVERLAY_DEVICE) -> None:
    """Join the nodes' pods by a VXLAN device that knows its peers already. Raises TestbedError."""
    for node in NODES:
        run_ip_batch([f"addr add {_overlay_address(node)}/128 dev {device} nodad"], node.namespace)
    for node, other in _list_pairs():
        run_ip_batch(
            [
                f"neigh add {_overlay_address(other)} lladdr {other.overlay_mac} dev {device} nud permanent",
                f"route add {pod_network(other)} via {_overlay_address(other)} dev {device} onlink",
            ],
            node.namespace,
        )


def add_second_overlay() -> None:
    """Add the VXLAN device whose outer packets are IPv6. Raises TestbedError."""
    for node, other in _list_pairs():
        ends = f"dev {UNDERLAY_DEVICE} local {underlay_address(node)} dstport {VXLAN_PORT}"
        tunnel = f"vxlan id {VXLAN_ID} {ends} nolearning"
        lines = [
            f"link set {UNDERLAY_DEVICE} mtu {OVERLAY_MTU_BYTES + OUTER_BYTES}",
            f"link add {SECOND_OVERLAY} address {node.overlay_mac} mtu {OVERLAY_MTU_BYTES} type {tunnel}",
            f"link set {SECOND_OVERLAY} up",
        ]
        run_ip_batch(lines, node.namespace)
        entry = f"fdb append {other.overlay_mac} dev {SECOND_OVERLAY} dst {underlay_address(other)}\n"
        run_command(["bridge", "-n", node.namespace, "-batch", "-"], entry)


def _overlay_address(node: Node) -> IPv6Address:
    """Return the last address of the node's pod network: the first one is every router's (RFC 4291 section 2.6.1)."""
    return pod_network(node)[-1]


def _list_pairs() -> Iterator[tuple[Node, Node]]:
    return ((node, other) for node in NODES for other in NODES if other != node)


def _render_underlay(node: Node) -> list[str]:
    return [f"addr add {underlay_address(node)}/64 dev {UNDERLAY_DEVICE} nodad"]


def _render_node(node: Node, *, bridged: bool) -> list[str]:
    if bridged:
        return [f"addr add {pod_network(node)[1]}/64 dev {BRIDGE_DEVICE} nodad"]
    return [
        line
        for pod in list_pods(node)
        for line in (
            f"addr add {LINK_LOCAL_GATEWAY}/64 dev {pod.host_veth} nodad",
            f"route add {pod_address(pod)} dev {pod.host_veth}",
        )
    ]


def _render_pod(pod: Pod, *, bridged: bool) -> list[str]:
    gateway = pod_network(pod.node)[1] if bridged else LINK_LOCAL_GATEWAY
    return [
        f"addr add {pod_address(pod)}/128 dev {POD_DEVICE} nodad",
        *([f"route add {gateway} dev {POD_DEVICE}"] if bridged else []),
        f"route add ::/0 via {gateway} dev {POD_DEVICE}",
    ]


def _render_services() -> str:
    """Return the rules of all services, each with its one endpoint; clients are pods, so nothing is masqueraded."""
    rules = [
        f"-A PREROUTING -d {cluster_address(pod)}/128 -p tcp -m tcp --dport {SERVICE_PORT} "
        f"-j DNAT --to-destination [{pod_address(pod)}]:{SIDECAR_INBOUND_PORT}"
        for pod in PODS
    ]
    return "\n".join(["*nat", *rules, "COMMIT", ""])
