"""A made-up node and another place, joined by an overlay: a pod of the one talks with a server on the other."""

import re
import secrets
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from tests.kernel.made_node import Node, run
from tests.kernel.talking_node import Connection, connected
from tests.kernel.wires import configure

NICS = ("nic0", "nic1")
OVERLAY = "overlay0"
VXLAN_PORT = 8472
INSIDE = {4: ("10.244.7.{}", "10.244.8.{}", 32), 6: ("fd00:10:244:7::{}", "fd00:10:244:8::{}", 128)}
"""By IP version: the addresses on the node and on the other place, and the length of a whole one."""

OUTSIDE = {4: ("192.0.2.{}", 24), 6: ("2001:db8::{}", 64)}

PATIENT = "rto_min 5s"
"""What takes longer than usual, as in emulation, is not sent again: each message is one packet."""


class JoinedNode(Node):
    """The node has two NICs, each a wire to `far`, whose server has an address of its own.

    The second NIC has a subnet, without which it would look like the host's end of a pod's veth.
    """

    def __init__(self, tag: str) -> None:
        super().__init__(tag)
        self.far = f"hstest-{tag}-f"
        run("ip", "netns", "add", self.far)
        sysctl(self.node, "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        for name in (self.node, self.far):
            # Else a macvlan's parent answers for the address too, and what is sent to it never meets the macvlan.
            sysctl(name, "net.ipv4.conf.all.arp_ignore=1")
        for nic in NICS:
            configure(self.node, f"link add {nic} type veth peer name {nic} netns {self.far}")
        configure(self.far, "link set lo up")
        for pattern, _, bits in INSIDE.values():
            gateway, nodad = pattern.format(1), " nodad" if bits > 32 else ""
            configure(
                self.node, f"addr add {gateway}/{bits} dev br0{nodad}", f"route add {pattern.format(2)} dev br0"
            )
            configure(
                self.pod,
                f"addr add {pattern.format(2)}/{bits} dev eth0{nodad}",
                f"route add {gateway} dev eth0",
                f"route add default via {gateway} dev eth0 {PATIENT}",
            )

    def remove(self) -> None:
        super().remove()
        run("ip", "netns", "del", self.far)

    @contextmanager
    def joined(self, device: str, lines: Sequence[str] = (), *, inside: int = 4, outside: int = 4) -> Iterator[None]:
        """Hold the overlay over `device` of both places, which `lines` of `ip` make out of the NICs, or a NIC."""
        own, other, bits = INSIDE[inside]
        nodad = {4: "", 6: " nodad"}
        pattern, prefix = OUTSIDE[outside]
        for place, here, there in ((self.node, 1, 2), (self.far, 2, 1)):
            configure(
                place,
                *(f"link set {nic} up" for nic in NICS),
                f"addr add 198.51.100.{here}/24 dev {NICS[1]}",
                *lines,
                f"link set {device} up",
                f"addr add {pattern.format(here)}/{prefix} dev {device}{nodad[outside]}",
                f"link add {OVERLAY} type vxlan id 7 local {pattern.format(here)} remote {pattern.format(there)} "
                f"dstport {VXLAN_PORT}",
                f"link set {OVERLAY} up",
            )
        for place, here, there in ((self.node, 2, 1), (self.far, 1, 2)):
            address = f"addr add {other.format(here)}/{bits} dev {OVERLAY}{nodad[inside]}"
            configure(place, address, f"route add {other.format(there)}/{bits} dev {OVERLAY}")
        configure(self.far, f"route add {own.format(2)}/{bits} via {other.format(2)} dev {OVERLAY} {PATIENT}")
        try:
            yield
        finally:
            for place in (self.node, self.far):
                for name in {OVERLAY, *re.findall(r"link add (\S+)", "\n".join(lines))}:
                    subprocess.run(["ip", "-n", place, "link", "del", name], check=False, capture_output=True)
                configure(place, *(f"addr flush dev {nic}" for nic in NICS))

    def connection(self, inside: int = 4) -> AbstractContextManager[Connection]:
        """Give a TCP connection from the pod to the server on the other place, both ends of it."""
        return connected(self.pod, self.far, INSIDE[inside][1].format(1))


def sysctl(namespace: str, *settings: str) -> None:
    """Set sysctls within a namespace."""
    run("ip", "netns", "exec", namespace, "sysctl", "-qw", *settings)


def make_joined_node() -> JoinedNode:
    """Return a new one, with a name of its own."""
    return JoinedNode(secrets.token_hex(3))
