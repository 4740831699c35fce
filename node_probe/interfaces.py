"""Makes the interface indexes of a transit unique within the node.

Pure. An index is unique within a network namespace only, and every pod's eth0 tends to have the same one. A pod's
device is therefore known by the index of its host end with the top bit set, which no kernel index reaches.
"""

from collections.abc import Mapping, Sequence

from node_probe.transit import Point

POD_BIT = 1 << 31

_HOST_SIDE = {Point.POD_EGRESS: Point.VETH_INGRESS, Point.POD_INGRESS: Point.VETH_EGRESS}


def identify_interfaces(
    ifindexes: Mapping[Point, int], hosts_of_pods: Mapping[int, Sequence[int]]
) -> dict[Point, int]:
    """Return `ifindexes`, by point, with unique indexes: 0 where a pod's device cannot be told from another's.

    `hosts_of_pods` has, by the index that a pod's device has in its own namespace, the indexes of the host ends of
    all devices with that index.
    """
    unique = dict(ifindexes)
    for pod_side, host_side in _HOST_SIDE.items():
        if pod_side not in unique:
            continue
        host = ifindexes.get(host_side, 0)
        candidates = hosts_of_pods.get(ifindexes[pod_side], ())
        if not host and len(candidates) == 1:
            host = candidates[0]
        unique[pod_side] = POD_BIT | host if host else 0
    return unique
