"""Builds and removes the network: namespaces, underlay, bridges, pods, management link; overlay and services on top.

Leaves nothing behind, after Ctrl-C neither, and first removes what a killed run left.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from testbed.command import run_command, run_in_namespace, run_ip_batch
from testbed.interrupt import hold_interrupts
from testbed.lock import take_lock
from testbed.namespace import write_sysctls
from testbed.node_addresses import render_addresses
from testbed.overlay import FLANNEL, Overlay, render_other_routes, render_overlay_forwarding, render_overlay_links
from testbed.removal import remove_all
from testbed.routed import list_veth_sysctls, render_routed_node, render_routed_pod
from testbed.services import render_service_rules
from testbed.topology import (
    BRIDGE_DEVICE,
    FRONTEND,
    MANAGEMENT_BRIDGE,
    MANAGEMENT_DEVICE,
    MANAGEMENT_GATEWAY,
    MANAGEMENT_NETWORK,
    NAMESPACE_PREFIX,
    NODE_1,
    NODE_2,
    NODES,
    OVERLAY_MTU_BYTES,
    POD_DEVICE,
    POD_NETWORK,
    PODS,
    ROOT_LINK_PREFIX,
    UNDERLAY_DEVICE,
    UNDERLAY_MTU_BYTES,
    Node,
    Pod,
    mac_of,
)

_POD_SYSCTLS = {
    "net/ipv6/conf/all/disable_ipv6": "1",  # no neighbour discovery amid the captures
    "net/ipv6/conf/default/disable_ipv6": "1",
}

_NODE_SYSCTLS = _POD_SYSCTLS | {
    "net/ipv4/ip_forward": "1",
    # Pods of one node talk through cni0 and back (see render_pod): no redirects about it. A device sends them
    # unless both its own value, taken from `default` when it is made, and `all` are 0.
    "net/ipv4/conf/all/send_redirects": "0",
    "net/ipv4/conf/default/send_redirects": "0",
    # Where br_netfilter is there, it would DNAT on the bridge instead of in the routing code: the same way on
    # every kernel.
    "net/bridge/bridge-nf-call-iptables": "0",
    # A namespace inherits the root's values, where distributions set strict reverse-path filtering.
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
}

_MANAGEMENT_RULES = f"""\
*nat
-A POSTROUTING -s {POD_NETWORK} -o {MANAGEMENT_DEVICE} -m comment --comment "pods leave as their node" -j MASQUERADE
COMMIT
"""


UDP_TIMEOUT_S = 30
"""The kernel's default for flows that nobody answers, as a tunnel's are."""


@contextmanager
def two_nodes(*, bridged: bool = True) -> Iterator[None]:
    """Hold two nodes with their pods, joined by the underlay alone. Raises TestbedError.

    Pods hang on a bridge, or unless `bridged` each on a route of its own, as Calico has it.
    """
    with take_lock():
        remove_network()
        try:
            _build_nodes(bridged=bridged)
            yield
        finally:
            with hold_interrupts():
                remove_network()


@contextmanager
def two_nodes_vxlan() -> Iterator[None]:
    """Hold two nodes whose pods reach each other over VXLAN and by ClusterIP. Raises TestbedError."""
    with two_nodes():
        add_overlay()
        yield


def add_overlay(overlay: Overlay = FLANNEL) -> None:
    """Add overlay and services to two nodes that stand; they go with them. Raises TestbedError."""
    for node in NODES:
        run_ip_batch(render_overlay_links(node, overlay), node.namespace)
        forwarding = "".join(f"{line}\n" for line in render_overlay_forwarding(node, overlay))
        run_command(["bridge", "-n", node.namespace, "-batch", "-"], forwarding)
        run_in_namespace(node.namespace, ["iptables-restore", "--noflush"], render_service_rules())


def change_routes(overlay: Overlay) -> None:
    """Let the nodes reach each other's pods as this overlay has it; its device must be there, if it has one."""
    for node in NODES:
        run_ip_batch(render_other_routes(node, overlay), node.namespace)


def change_services(others: int) -> None:
    """Write the nodes' services anew, with so many of others. Connections stay. Raises TestbedError."""
    # The whole table: with --noflush thousands of chains take a minute.
    rules = _MANAGEMENT_RULES.removesuffix("COMMIT\n") + render_service_rules(others).removeprefix("*nat\n")
    for node in NODES:
        run_in_namespace(node.namespace, ["iptables-restore", "--table", "nat"], rules)


def change_udp_timeout(seconds: int = UDP_TIMEOUT_S) -> None:
    """Let conntrack forget a UDP flow that was silent for so long, such as that of a tunnel's outer packets."""
    for node in NODES:
        write_sysctls(node.namespace, {"net/netfilter/nf_conntrack_udp_timeout": str(seconds)})


def remove_network() -> None:
    """Kill what runs inside the testbed's namespaces and remove them and its links. Raises TestbedError."""
    remove_all(NAMESPACE_PREFIX, ROOT_LINK_PREFIX)


def _build_nodes(*, bridged: bool) -> None:
    run_ip_batch([f"netns add {place.namespace}" for place in (*NODES, *PODS)])
    for node in NODES:
        write_sysctls(node.namespace, _NODE_SYSCTLS)
    for pod in PODS:
        write_sysctls(pod.namespace, _POD_SYSCTLS)
    run_ip_batch(_render_links())
    for node in NODES:
        join = _render_bridge if bridged else render_routed_node
        run_ip_batch([*render_addresses(node), *join(node)], node.namespace)
        if not bridged:
            write_sysctls(node.namespace, list_veth_sysctls(node))
        run_in_namespace(node.namespace, ["iptables-restore", "--noflush"], _MANAGEMENT_RULES)
    for pod in PODS:
        run_ip_batch(_render_pod(pod) if bridged else render_routed_pod(pod), pod.namespace)
    run_ip_batch(_render_management())


def _render_links() -> list[str]:
    """Return the lines that make all links which join two namespaces."""
    underlay = f"name {UNDERLAY_DEVICE} mtu {UNDERLAY_MTU_BYTES} netns"
    lines = [
        f"link add {underlay} {NODE_1.namespace} type veth peer {underlay} {NODE_2.namespace}",
        f"link add {MANAGEMENT_BRIDGE} type bridge",
    ]
    lines += [
        f"link add {node.management_link} type veth peer name {MANAGEMENT_DEVICE} netns {node.namespace}"
        for node in NODES
    ]
    lines += [
        f"link add name {pod.host_veth} mtu {OVERLAY_MTU_BYTES} netns {pod.node.namespace} type veth "
        f"peer name {POD_DEVICE} mtu {OVERLAY_MTU_BYTES} address {pod.mac} netns {pod.namespace}"
        for pod in PODS
    ]
    return lines


def _render_bridge(node: Node) -> list[str]:
    lines = [
        f"link add {BRIDGE_DEVICE} address {mac_of(node.gateway)} mtu {OVERLAY_MTU_BYTES} type bridge",
        f"addr add {node.gateway}/{node.pod_network.prefixlen} dev {BRIDGE_DEVICE}",
        f"link set {BRIDGE_DEVICE} up",
    ]
    return lines + [f"link set {pod.host_veth} master {BRIDGE_DEVICE} up" for pod in PODS if pod.node == node]


def _render_pod(pod: Pod) -> list[str]:
    """Return the lines for a pod, whose one neighbour is its gateway.

    With a /24 the answer of a service's pod to a client on the same node would go straight over the bridge, past the
    un-DNAT, unless br_netfilter is there, a module that need not be. With a /32 (as CNI's ptp and Calico have it) it
    is routed by the node, on any kernel and with the client's own address.
    """
    return [
        "link set lo up",
        f"addr add {pod.address}/32 dev {POD_DEVICE}",
        f"link set {POD_DEVICE} up",
        f"route add {pod.node.gateway} dev {POD_DEVICE} scope link",
        f"route add default via {pod.node.gateway} dev {POD_DEVICE}",
    ]


def _render_management() -> list[str]:
    lines = [f"link set {MANAGEMENT_BRIDGE} addrgenmode none"]
    lines += [
        line
        for node in NODES
        for line in (
            f"link set {node.management_link} addrgenmode none",
            f"link set {node.management_link} master {MANAGEMENT_BRIDGE} up",
        )
    ]
    return [
        *lines,
        f"addr add {MANAGEMENT_GATEWAY}/{MANAGEMENT_NETWORK.prefixlen} dev {MANAGEMENT_BRIDGE}",
        f"link set {MANAGEMENT_BRIDGE} up",
        # Frontend's node only: a load client in the root namespace needs no other.
        f"route add {FRONTEND.node.pod_network} via {FRONTEND.node.management_address} dev {MANAGEMENT_BRIDGE}",
    ]
