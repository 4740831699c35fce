"""Makes the interface indexes of a transit unique within the node.

Pure. An index is unique within a network namespace only, and every pod's eth0 tends to have the same one. A pod's
device is therefore known by the index of its host end with the top bit set, which no kernel index reaches.
"""

from collections.abc import Mapping, Sequence

import msgspec

from node_probe.transit import Point, Stamp, Transit

POD_BIT = 1 << 31

_HOST_SIDE = {Point.POD_EGRESS: Point.VETH_INGRESS, Point.POD_INGRESS: Point.VETH_EGRESS}


def identify_interfaces(transit: Transit, hosts_of_pods: Mapping[int, Sequence[int]]) -> Transit:
    """Return the transit with unique interface indexes, 0 where a pod's device cannot be told from another's.

    `hosts_of_pods` has, by the index that a pod's device has in its own namespace, the indexes of the host ends of
    all devices with that index.
    """
    if not any(stamp.point in _HOST_SIDE for stamp in transit.stamps):
        return transit
    at_point = {stamp.point: stamp.ifindex for stamp in transit.stamps}
    stamps = []
    for stamp in transit.stamps:
        host_side = _HOST_SIDE.get(stamp.point)
        if host_side is None:
            stamps.append(stamp)
            continue
        host = at_point.get(host_side, 0)
        candidates = hosts_of_pods.get(stamp.ifindex, ())
        if not host and len(candidates) == 1:
            host = candidates[0]
        stamps.append(Stamp(stamp.point, POD_BIT | host if host else 0, stamp.monotonic_ns))
    return msgspec.structs.replace(transit, stamps=tuple(stamps))
