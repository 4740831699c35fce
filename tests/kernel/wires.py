"""What the discovery tests build in a made-up node: NICs, overlays, pods, and what is attached to them."""

import re
import secrets
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from node_probe.bpf import TCX_EGRESS, TCX_INGRESS
from node_probe.device_dump import list_devices
from node_probe.devices import OWN_NAMESPACE, Plan, plan_points
from node_probe.namespaces import entered
from tests.kernel.made_node import Node, count_attached, run

AT_NIC = {"nic_egress", "nic_ingress"}
AT_OVERLAY = {"overlay_egress", "overlay_ingress"}
AT_VETH = {"veth_egress", "veth_ingress"}
"""The programs at the points of each kind of device."""

REMOTE = "198.51.100.9"
"""Another node, reached by a route and no subnet of ours."""


def configure(namespace: str, *lines: str, tool: str = "ip") -> None:
    """Carry out lines of `ip`, or of `bridge`, within a namespace, with one process."""
    text = "".join(f"{line}\n" for line in lines)
    command = ["ip", "netns", "exec", namespace, tool, "-batch", "-"]
    subprocess.run(command, input=text, text=True, check=True, capture_output=True)


def add_nic(node: Node, number: int) -> str:
    """Add a device with the subnet 192.0.2.0/24, or the next ones, and a gateway in it; return its name."""
    name = f"nic{number}"
    configure(
        node.node,
        f"link add {name} type veth peer name wire{number}",
        f"addr add 192.0.{2 + number}.1/24 dev {name}",
        f"link set {name} up",
        f"link set wire{number} up",
    )
    return name


def add_overlay(node: Node, number: int, *words: str) -> str:
    """Add a vxlan device, which knows no peer; return its name."""
    name = f"overlay{number}"
    configure(node.node, f"link add {name} type vxlan id {number} dstport {8472 + number} {' '.join(words)}")
    configure(node.node, f"link set {name} up")
    return name


def add_peer(node: Node, overlay: str, address: str) -> None:
    """Tell an overlay of another node, as CNIs do."""
    configure(node.node, f"fdb append 00:00:00:00:00:00 dev {overlay} dst {address}", tool="bridge")


@contextmanager
def pods(count: int) -> Iterator[Sequence[str]]:
    """Hold the namespaces of so many pods, which have no device yet; yield their names."""
    tag = secrets.token_hex(3)
    names = [f"hstest-{tag}-{i}" for i in range(count)]
    text = "".join(f"netns add {name}\n" for name in names)
    subprocess.run(["ip", "-batch", "-"], input=text, text=True, check=True, capture_output=True)
    try:
        yield names
    finally:
        text = "".join(f"netns del {name}\n" for name in names)
        subprocess.run(["ip", "-force", "-batch", "-"], input=text, text=True, check=False, capture_output=True)


def plug_in(node: Node, names: Sequence[str], prefix: str = "late") -> None:
    """Give each pod its veth, with the host's end in the node's bridge, all at once."""
    lines = []
    for i, name in enumerate(names):
        lines.append(f"link add {prefix}{i} type veth peer name eth0 netns {name}")
        lines.append(f"link set {prefix}{i} master br0 up")
    configure(node.node, *lines)


def plan_in(node: Node, exclude: Sequence[str] = ()) -> Plan:
    """Return the plan for the node as it is now."""
    with entered(Path("/run/netns") / node.node):
        return plan_points(list_devices(), exclude, pod=True)


def planned(node: Node) -> dict[str, set[str]]:
    """Return the programs that are planned at the devices of the node's own namespace, by the devices' names."""
    with entered(Path("/run/netns") / node.node):
        names = {device.ifindex: device.name for device in list_devices()}
    found: dict[str, set[str]] = {}
    for attachment in plan_in(node).attachments:
        if attachment.namespace == OWN_NAMESPACE:
            found.setdefault(names[attachment.ifindex], set()).add(attachment.program)
    return found


def programs_at(namespace: str, device: str) -> int:
    """Return how many programs of ours are attached to a device, by tcx or as filters; 0 where there is none."""
    with entered(Path("/run/netns") / namespace):
        try:
            ifindex = socket.if_nametoindex(device)
        except OSError:
            return 0
        by_tcx = sum(count_attached(ifindex, kind) for kind in (TCX_INGRESS, TCX_EGRESS))
    told = [run("tc", "-n", namespace, "filter", "show", "dev", device, side) for side in ("ingress", "egress")]
    return by_tcx + len(re.findall(r" hopspan-\d+-", "".join(told)))
