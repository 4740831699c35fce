"""What every node begins with, in the testbed and in the two-node Kubernetes: lo, underlay, link to the machine.

Pure: lines for `ip -batch`.
"""

from testbed.topology import MANAGEMENT_DEVICE, UNDERLAY_DEVICE, NumberedNode


def render_addresses(node: NumberedNode) -> list[str]:
    """Return the lines for the node's namespace, whose devices are there."""
    networks = node.networks
    return [
        "link set lo up",
        f"addr add {node.underlay_address}/{networks.underlay.prefixlen} dev {UNDERLAY_DEVICE}",
        f"link set {UNDERLAY_DEVICE} up",
        f"addr add {node.management_address}/{networks.management.prefixlen} dev {MANAGEMENT_DEVICE}",
        f"link set {MANAGEMENT_DEVICE} up",
    ]
