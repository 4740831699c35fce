"""Joins pods to their node without a bridge, as Calico does: a /32 route each, and proxy ARP for their gateway.

Turns the topology into lines of ip(8) and sysctls; no IO.
"""

from ipaddress import IPv4Address

from testbed.topology import POD_DEVICE, PODS, UNDERLAY_DEVICE, Node, Pod

LINK_LOCAL_GATEWAY = IPv4Address("169.254.1.1")
"""Calico's: no device has it, the host end of each pod's veth answers for it."""


def render_routed_node(node: Node) -> list[str]:
    """Return the lines of `ip -batch` that route to each of the node's pods."""
    # Proxy ARP answers only for what is routed by another device: Calico counts on the default route.
    lines = [f"route add {LINK_LOCAL_GATEWAY} dev {UNDERLAY_DEVICE} scope link"]
    for pod in list_pods(node):
        lines += [f"link set {pod.host_veth} up", f"route add {pod.address} dev {pod.host_veth} scope link"]
    return lines


def list_veth_sysctls(node: Node) -> dict[str, str]:
    """Return the sysctls of the host ends, to be written inside the node's namespace."""
    values = {}
    for pod in list_pods(node):
        values[f"net/ipv4/conf/{pod.host_veth}/proxy_arp"] = "1"
        values[f"net/ipv4/neigh/{pod.host_veth}/proxy_delay"] = "0"
    return values


def render_routed_pod(pod: Pod) -> list[str]:
    """Return the lines of `ip -batch` for a pod, whose one neighbour is the gateway that its host end plays."""
    return [
        "link set lo up",
        f"addr add {pod.address}/32 dev {POD_DEVICE}",
        f"link set {POD_DEVICE} up",
        f"route add {LINK_LOCAL_GATEWAY} dev {POD_DEVICE} scope link",
        f"route add default via {LINK_LOCAL_GATEWAY} dev {POD_DEVICE}",
    ]


def list_pods(node: Node) -> list[Pod]:
    """Return the node's pods."""
    return [pod for pod in PODS if pod.node == node]
