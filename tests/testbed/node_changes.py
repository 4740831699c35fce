"""Changes a node as others would while a probe runs: a pod comes and goes, an agent mirrors packets, offload is cut.

Each change is undone at the end of its block.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from testbed.command import run_command, run_ip_batch
from testbed.topology import BRIDGE_DEVICE, OVERLAY_MTU_BYTES, POD_DEVICE, Pod
from tests.testbed.kernel_state import SIDES

MIRROR = "mirror0"
SEGMENTS_DEFAULT = 65535
"""GSO_MAX_SEGS, which the kernel gives to every device."""


@contextmanager
def late_pod(pod: Pod) -> Iterator[None]:
    """Hold a pod that is made now, as a CNI plugin would."""
    run_ip_batch([f"netns add {pod.namespace}"])
    try:
        peer = f"peer name {POD_DEVICE} mtu {OVERLAY_MTU_BYTES} address {pod.mac} netns {pod.namespace}"
        link = f"link add {pod.host_veth} mtu {OVERLAY_MTU_BYTES} type veth {peer}"
        run_ip_batch([link, f"link set {pod.host_veth} master {BRIDGE_DEVICE} up"], pod.node.namespace)
        lines = [
            f"addr add {pod.address}/32 dev {POD_DEVICE}",
            f"link set {POD_DEVICE} up",
            f"route add {pod.node.gateway} dev {POD_DEVICE} scope link",
            f"route add default via {pod.node.gateway} dev {POD_DEVICE}",
        ]
        run_ip_batch(lines, pod.namespace)
        yield
    finally:
        run_ip_batch([f"netns del {pod.namespace}"])


@contextmanager
def mirroring(namespace: str, devices: Sequence[str]) -> Iterator[None]:
    """Hold a clsact on each device, with a filter on each side that mirrors IP packets to a device of its own."""
    run_ip_batch(
        [
            f"link add {MIRROR} type veth peer name {MIRROR}-end",
            *(f"link set {MIRROR}{end} up" for end in ("", "-end")),
        ],
        namespace,
    )
    try:
        for device in devices:
            run_command(["tc", "-n", namespace, "qdisc", "add", "dev", device, "clsact"])
            for side in SIDES:
                # Behind the probe's priority, where that uses filters too: this one's verdict ends the walk.
                where = ["dev", device, side, "prio", "20", "protocol", "ip"]
                action = ["action", "mirred", "egress", "mirror", "dev", MIRROR]
                everything = ["u32", "match", "u32", "0", "0"]
                run_command(["tc", "-n", namespace, "filter", "add", *where, *everything, *action])
        yield
    finally:
        for device in devices:
            run_command(["tc", "-n", namespace, "qdisc", "del", "dev", device, "clsact"], check=False)
        run_ip_batch([f"link del {MIRROR}"], namespace)


@contextmanager
def cutting_segments(namespace: str) -> Iterator[None]:
    """Let the namespace's eth0 take no packet of more than one segment."""
    run_ip_batch([f"link set {POD_DEVICE} gso_max_segs 1"], namespace)
    try:
        yield
    finally:
        run_ip_batch([f"link set {POD_DEVICE} gso_max_segs {SEGMENTS_DEFAULT}"], namespace)
