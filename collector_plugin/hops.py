"""Turns the stamps of a message into hops: the way between two successive points, with its name.

Pure. A hop's times are monotonic nanoseconds of one clock; where two nodes are involved the caller has shifted them.
"""

import functools
import itertools

import msgspec

from collector_plugin.halves import Half, Role
from node_probe.hop_names import name_hop
from node_probe.transit import Point, Stamp, Tunnel

UNDERLAY = "underlay"

_WAY = {
    Role.WHOLE: (Point.POD_EGRESS, Point.VETH_INGRESS, Point.VETH_EGRESS, Point.POD_INGRESS),
    Role.SENDER: (Point.POD_EGRESS, Point.VETH_INGRESS, Point.OVERLAY_EGRESS, Point.NIC_EGRESS),
    Role.RECEIVER: (Point.NIC_INGRESS, Point.OVERLAY_INGRESS, Point.VETH_EGRESS, Point.POD_INGRESS),
}
"""The points of each role in the order met. The pod's own are optional, but they only ever stand at an end."""

_OVERLAY_POINTS = frozenset({Point.OVERLAY_EGRESS, Point.OVERLAY_INGRESS})


class Hop(msgspec.Struct, frozen=True, gc=False):
    """The way between two successive points."""

    name: str
    missed: tuple[Point, ...]
    """Points between the two that the packet must have passed and that did not see it."""
    is_tunnelled: bool
    """Whether the packet had, got or lost its outer header on the way."""
    start: Stamp
    stop: Stamp

    @property
    def duration_ns(self) -> int:
        """Return the exact time between the stamps."""
        return self.stop.monotonic_ns - self.start.monotonic_ns


def list_hops(half: Half, theta_ns: int = 0) -> list[Hop]:
    """Return the hops of one node, in the order of the packet's way; none where it has a single stamp.

    `theta_ns`, the node's clock minus the one wanted, is taken from the stamps.
    """
    stamps = half.transit.stamps
    if theta_ns:
        stamps = tuple(_shift(stamp, theta_ns) for stamp in stamps)
    role, tunnel = half.role, half.transit.tunnel
    return [
        Hop(*_describe_hop(role, start.point, stop.point, tunnel), start, stop)
        for start, stop in itertools.pairwise(stamps)
    ]


@functools.cache
def _describe_hop(role: Role, start: Point, stop: Point, tunnel: Tunnel) -> tuple[str, tuple[Point, ...], bool]:
    """Return name, missed points and whether there is an outer header; there are some hundred cases."""
    missed = tuple(
        point
        for point in _WAY.get(role, ())
        if start < point < stop and (point not in _OVERLAY_POINTS or tunnel is not Tunnel.NONE)
    )
    name, is_tunnelled = name_hop(start, stop, tunnel)
    return name, missed, is_tunnelled


def list_wire(near: Half, far: Half, theta_ns: int) -> list[Hop]:
    """Return the hop between the nodes on the near clock; none where one of its ends was not seen.

    `theta_ns` is the far node's clock minus the near node's.
    """
    if near.role is Role.SENDER:
        sender, start, stop = near, near.transit.stamps[-1], _shift(far.transit.stamps[0], theta_ns)
    else:
        sender, start, stop = far, _shift(far.transit.stamps[-1], theta_ns), near.transit.stamps[0]
    if start.point is not Point.NIC_EGRESS or stop.point is not Point.NIC_INGRESS:
        return []
    return [Hop(UNDERLAY, (), sender.transit.tunnel is not Tunnel.NONE, start, stop)]


def _shift(stamp: Stamp, theta_ns: int) -> Stamp:
    return Stamp(stamp.point, stamp.ifindex, stamp.monotonic_ns - theta_ns) if theta_ns else stamp
