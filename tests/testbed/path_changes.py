"""Changes how the nodes carry packets while all else stays: NAT, offloads, queues. Each is undone after its block."""

from collections.abc import Iterator
from contextlib import contextmanager

from testbed.command import run_command, run_in_namespace
from testbed.faults import ruled
from testbed.topology import CART, NODE_1, NODES, OVERLAY_DEVICE, POD_DEVICE, PODS, UNDERLAY_DEVICE

OFFLOADS = ("tso", "gso", "gro")


@contextmanager
def masqueraded() -> Iterator[None]:
    """Hide the pods of node-1 behind their node, on the way to cart's pod."""
    to_cart = ("-d", str(CART.address), "-o", OVERLAY_DEVICE, "-j", "MASQUERADE", "--random-fully")
    with ruled(NODE_1.namespace, "nat", "POSTROUTING", *to_cart):
        yield


@contextmanager
def offloads(*, on: bool) -> Iterator[None]:
    """Let every device cut and merge segments late, or none of them."""
    devices = [(node.namespace, UNDERLAY_DEVICE) for node in NODES]
    devices += [(node.namespace, OVERLAY_DEVICE) for node in NODES]
    devices += [(pod.node.namespace, pod.host_veth) for pod in PODS]
    devices += [(pod.namespace, POD_DEVICE) for pod in PODS]
    _switch(devices, dict.fromkeys(OFFLOADS, on))
    try:
        yield
    finally:
        _switch(devices, {"tso": True, "gso": True, "gro": False})


def _switch(devices: list[tuple[str, str]], values: dict[str, bool]) -> None:
    words = [word for name, value in values.items() for word in (name, "on" if value else "off")]
    for namespace, device in devices:
        run_in_namespace(namespace, ["ethtool", "-K", device, *words])


@contextmanager
def shaped(rate: str = "50mbit", burst: str = "10kb", limit: str = "1mb") -> Iterator[None]:
    """Put a token bucket (tbf) on both underlay devices."""
    queue = ["tbf", "rate", rate, "burst", burst, "limit", limit]
    for node in NODES:
        run_command(["tc", "-n", node.namespace, "qdisc", "add", "dev", UNDERLAY_DEVICE, "root", *queue])
    try:
        yield
    finally:
        for node in NODES:
            run_command(["tc", "-n", node.namespace, "qdisc", "del", "dev", UNDERLAY_DEVICE, "root"])
