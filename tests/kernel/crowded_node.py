"""A made-up node as others leave it: with an overlay, foreign qdiscs, filters and tcx programs, and no rest.

What is on its devices is read back in the kernel's own words, so that a difference of any kind is seen.
"""

import os
import random
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from node_probe.bpf import TCX_EGRESS, TCX_INGRESS, create_tcx_link, load_idle_program
from node_probe.namespaces import entered
from tests.kernel.foreign import make_foreign, read_devices, run_tc
from tests.kernel.made_node import Node, count_attached, run

RTMGRP_TC = 8
NODE_DEVICES = ("veth0", "nic0", "overlay0")
POD_DEVICES = ("eth0",)
MAX_LATE_DEVICES = 6
CHANGE_INTERVAL_S = 0.05

COUNTS = re.compile(r"(?:direct_packets_stat \d+|rule hit \d+ success \d+)")
"""Of htb and u32: packets that the machine sends by itself, such as neighbour discovery."""


class CrowdedNode(Node):
    """A node with a pod, an overlay device and its underlay, on which others have something at random."""

    def __init__(self, tag: str) -> None:
        """Make the node with its pod alone."""
        super().__init__(tag)
        self._links: list[int] = []

    def furnish(self, rng: random.Random) -> None:
        """Add the overlay and what others have; the same numbers give the same."""
        in_node = ("ip", "-n", self.node, "link")
        run(*in_node, "add", "nic0", "type", "veth", "peer", "name", "wire0")
        run(*in_node, "set", "nic0", "up")
        overlay = ("vxlan", "id", "1", "dev", "nic0", "remote", "192.0.2.2", "dstport", "8472")
        run(*in_node, "add", "overlay0", "type", *overlay)
        run(*in_node, "set", "overlay0", "up")
        for namespace, devices in ((self.node, NODE_DEVICES), (self.pod, POD_DEVICES)):
            run_tc(namespace, *(line for device in devices for line in make_foreign(rng, device)))
        self._attach_foreign(rng)

    def remove(self) -> None:
        """Remove it, with what others have."""
        for fd in self._links:
            os.close(fd)
        super().remove()

    def read_all(self) -> list[str]:
        """Return all qdiscs, filters and chains of all devices, without counts and the kernel's own `noqueue`."""
        return [
            f"{namespace}: {COUNTS.sub('', line)}"
            for namespace in (self.node, self.pod)
            for line in read_devices(namespace, list_devices(namespace)).splitlines()
            if not line.startswith("qdisc noqueue 0:")
        ]

    def count_tcx(self) -> int:
        """Return how many programs run by tcx, at all devices and in both directions."""
        total = 0
        for namespace in (self.node, self.pod):
            with entered(Path("/run/netns") / namespace):
                for ifindex, _ in socket.if_nameindex():
                    total += sum(count_attached(ifindex, kind) for kind in (TCX_INGRESS, TCX_EGRESS))
        return total

    def watch_tc(self) -> socket.socket:
        """Return a socket that gets a message for each change of a qdisc or filter in the node's namespace."""
        with entered(Path("/run/netns") / self.node):
            watch = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        watch.bind((0, RTMGRP_TC))
        return watch

    def _attach_foreign(self, rng: random.Random) -> None:
        program = load_idle_program()
        with entered(Path("/run/netns") / self.node):
            for device in NODE_DEVICES:
                for kind in (TCX_INGRESS, TCX_EGRESS):
                    # Where the kernel has no tcx, nobody has programs there.
                    if rng.random() < 0.3:
                        with suppress(OSError):
                            self._links.append(create_tcx_link(program, socket.if_nametoindex(device), kind))
        os.close(program)


def list_devices(namespace: str) -> list[str]:
    """Return the names of the namespace's devices."""
    with entered(Path("/run/netns") / namespace):
        return [name for _, name in socket.if_nameindex()]


@contextmanager
def changing_devices(node: CrowdedNode, seed: int) -> Iterator[None]:
    """Hold a thread that adds and deletes pods' veths and overlay devices; what is there at the end stays."""
    over = threading.Event()
    thread = threading.Thread(target=_change_devices, args=(node, random.Random(seed), over))  # noqa: S311
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _change_devices(node: CrowdedNode, rng: random.Random, over: threading.Event) -> None:
    late: list[str] = []
    number = 0
    while not over.wait(rng.random() * CHANGE_INTERVAL_S):
        if late and (len(late) == MAX_LATE_DEVICES or rng.random() < 0.4):
            _change(node, f"link del {late.pop(rng.randrange(len(late)))}")
            continue
        number += 1
        name = f"late{number}"
        late.append(name)
        if rng.random() < 0.7:
            _change(node, f"link add {name} type veth peer name eth{number} netns {node.pod}")
            _change(node, f"link set {name} master br0 up")
        else:
            _change(node, f"link add {name} type vxlan id {number + 1} dev nic0 dstport {8472 + number}")


def _change(node: CrowdedNode, words: str) -> None:
    subprocess.run(["ip", "-n", node.node, *words.split()], check=True, capture_output=True)
