"""Builds and removes the nodes' network: namespaces, underlay, VXLAN as flannel has it, link to the machine.

Pods' bridges and veths are made by the CNI plugins. In the root namespace nothing changes but links and routes.
"""

from testbed.command import run_command, run_ip_batch
from testbed.kubernetes.topology import (
    MACHINE,
    MANAGEMENT_BRIDGE,
    MANAGEMENT_NETWORK,
    NAMESPACE_PREFIX,
    NODE_1,
    NODE_2,
    NODES,
    ROOT_LINK_PREFIX,
    SERVICE_NETWORK,
    Node,
)
from testbed.namespace import write_sysctls
from testbed.node_addresses import render_addresses
from testbed.removal import remove_all
from testbed.topology import MANAGEMENT_DEVICE, OVERLAY_DEVICE, OVERLAY_MTU_BYTES, UNDERLAY_DEVICE

_SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    # A service's answer to a pod on the same node crosses the bridge alone; it has to meet the un-DNAT there.
    "net/bridge/bridge-nf-call-iptables": "1",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
}


def build_network() -> None:
    """Build all of it. Raises TestbedError."""
    run_ip_batch([f"netns add {node.namespace}" for node in NODES])
    for node in NODES:
        write_sysctls(node.namespace, _SYSCTLS)
    run_ip_batch(_render_links())
    for node in NODES:
        other = NODE_2 if node == NODE_1 else NODE_1
        run_ip_batch(_render_node(node, other), node.namespace)
        forwarding = f"fdb append {other.overlay_mac} dev {OVERLAY_DEVICE} dst {other.underlay_address}\n"
        run_command(["bridge", "-n", node.namespace, "-batch", "-"], forwarding)
    run_ip_batch(_render_machine())


def remove_network() -> None:
    """Kill what runs inside the nodes' namespaces and remove them and their links. Raises TestbedError."""
    remove_all(NAMESPACE_PREFIX, ROOT_LINK_PREFIX)


def _render_links() -> list[str]:
    underlay = f"name {UNDERLAY_DEVICE} netns"
    return [
        f"link add {underlay} {NODE_1.namespace} type veth peer {underlay} {NODE_2.namespace}",
        f"link add {MANAGEMENT_BRIDGE} type bridge",
    ] + [
        f"link add {node.management_link} type veth peer name {MANAGEMENT_DEVICE} netns {node.namespace}"
        for node in NODES
    ]


def _render_node(node: Node, other: Node) -> list[str]:
    tunnel = f"vxlan id 1 dev {UNDERLAY_DEVICE} local {node.underlay_address} dstport 8472 nolearning"
    return [
        *render_addresses(node),
        f"route add default via {MACHINE}",
        f"link add {OVERLAY_DEVICE} address {node.overlay_mac} mtu {OVERLAY_MTU_BYTES} type {tunnel}",
        f"addr add {node.overlay_address}/32 dev {OVERLAY_DEVICE}",
        f"link set {OVERLAY_DEVICE} up",
        f"route add {other.pod_network} via {other.overlay_address} dev {OVERLAY_DEVICE} onlink",
        f"neigh add {other.overlay_address} lladdr {other.overlay_mac} dev {OVERLAY_DEVICE} nud permanent",
    ]


def _render_machine() -> list[str]:
    """Return the lines for the root namespace, from which kubelets, pods and services are reached."""
    lines = [f"link set {node.management_link} master {MANAGEMENT_BRIDGE} up" for node in NODES]
    lines += [
        f"addr add {MACHINE}/{MANAGEMENT_NETWORK.prefixlen} dev {MANAGEMENT_BRIDGE}",
        f"link set {MANAGEMENT_BRIDGE} up",
    ]
    # Any node's kube-proxy translates; of a packet from outside of the cluster it changes the source as well.
    lines.append(f"route add {SERVICE_NETWORK} via {NODE_1.management_address} dev {MANAGEMENT_BRIDGE}")
    return lines + [
        f"route add {network} via {node.management_address} dev {MANAGEMENT_BRIDGE}"
        for node in NODES
        for network in (node.pod_network, node.underlay_address)
    ]
