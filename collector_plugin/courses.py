"""The course of packets through a node: which points of which devices, in which direction, in which tunnel.

Pure. The packets of a connection share one, and so do those of many others.
"""

import enum
import functools

import msgspec

from node_probe.transit import Direction, Point, TransitFlag, Tunnel
from node_probe.wire_record import Shape, decode_shape

MAX_KEPT = 4096
"""Courses that are kept, the newest, and templates of their hops: 15 MiB where all are used, measured with four
stamps. What is forgotten is made anew."""


class Role(enum.IntEnum):
    """What a node is in the way of a packet."""

    WHOLE = enum.auto()
    """From a pod to a pod of the same node."""
    SENDER = enum.auto()
    """From a pod towards the wire."""
    RECEIVER = enum.auto()
    """From the wire towards a pod."""
    PASSING = enum.auto()
    """From the wire to the wire."""


class Course(msgspec.Struct, frozen=True, eq=False, gc=False):
    """What many transits share. Compared as an object, since it is a key: find_course returns the same one."""

    direction: Direction
    points: tuple[Point, ...]
    ifindexes: tuple[int, ...]
    tunnel: Tunnel
    vni: int
    outer_source: bytes
    outer_destination: bytes
    is_ambiguous: bool
    """Whether several packets may have been taken for one."""
    earlier: int
    """How many sendings of the message the node saw before."""
    role: Role
    is_near: bool
    """Whether this is the client side: the node whose pod opened the connection, thus the parent's."""
    begins_at_wire: bool
    ends_at_wire: bool
    """Whether the packet was seen as it came from the wire, and as it left for it."""


def has_wire(sender: Course, receiver: Course) -> bool:
    """Tell whether both ends of the wire between two nodes were seen."""
    return sender.ends_at_wire and receiver.begins_at_wire


@functools.lru_cache(MAX_KEPT)
def find_course(shape: Shape) -> Course:
    """Return the course that the shape of a record tells (see split_record).

    Raises RecordError for values that version 1 does not know.
    """
    transit = decode_shape(shape)
    points = tuple(stamp.point for stamp in transit.stamps)
    # By the first and the last point: a swept transit lacks points, not its role.
    outgoing, incoming = points[0] <= Point.NIC_EGRESS, points[-1] >= Point.NIC_INGRESS
    return Course(
        transit.direction,
        points,
        tuple(stamp.ifindex for stamp in transit.stamps),
        transit.tunnel,
        transit.vni,
        transit.outer_source,
        transit.outer_destination,
        bool(transit.flags & TransitFlag.AMBIGUOUS),
        transit.earlier,
        _ROLES[outgoing, incoming],
        outgoing if transit.direction is Direction.REQUEST else incoming,
        points[0] is Point.NIC_INGRESS,
        points[-1] is Point.NIC_EGRESS,
    )


_ROLES = {
    (True, True): Role.WHOLE,
    (True, False): Role.SENDER,
    (False, True): Role.RECEIVER,
    (False, False): Role.PASSING,
}
