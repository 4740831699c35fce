"""What the two halves of a message tell of the clocks of their nodes.

Pure. A pair of nodes is ordered, A and B, whoever is the client; times are A's.
"""

import msgspec

from collector_plugin.courses import Course, has_wire
from collector_plugin.halves import Half
from node_probe.transit import Direction

SAME_SLACK_NS = 10_000
"""A clock that is read on two CPUs may seem to step back by this: the kernel's fast clock does while NTP slews it."""

STEP_NS = 20_000
"""Nodes of one kernel read the same difference between its wall clock and its monotonic one, to a microsecond. More
is a step between their readings, or another kernel."""

_REQUEST = Direction.REQUEST

NodeRef = tuple[str, str]
"""Clock id and name of a node: cloned machines may share the one, and a reboot changes it."""

PairKey = tuple[NodeRef, NodeRef]

Way = tuple[PairKey, int]
"""A pair of nodes and a direction between them: 1 from A to B, -1 from B to A."""


class Sighting(msgspec.Struct, frozen=True, gc=False):
    """A message that passed from one node of a pair to the other."""

    pair: PairKey
    sign: int
    """1 from A to B, -1 from B to A."""
    at_ns: int
    """When A stamped it."""
    gap_ns: int
    """B's stamp minus A's."""
    is_near_first: bool
    """Whether A is the near node."""
    far_times_ns: tuple[int, ...] = ()
    """The far node's stamps."""
    is_exact: bool = True
    """Whether both halves are of one and the same packet, and stamped at either end of the wire."""
    is_doubtful: bool = False
    """Whether nodes with one clock id seem to have two clocks: those show a different time since the epoch."""

    @property
    def way(self) -> Way:
        """Return the direction that it passed in."""
        return self.pair, self.sign

    @property
    def way_back(self) -> Way:
        """Return the other direction."""
        return self.pair, -self.sign

    @property
    def shares_id(self) -> bool:
        """Tell whether both nodes name the same clock."""
        return self.pair[0][0] == self.pair[1][0]

    @property
    def is_within_node(self) -> bool:
        """Tell whether the message came back to the node that it left."""
        return self.pair[0] == self.pair[1]

    @property
    def can_be_one_clock(self) -> bool:
        """Tell whether one clock can have shown both stamps."""
        return self.sign * self.gap_ns >= -SAME_SLACK_NS


def see_message(near: Half, far: Half) -> Sighting:
    """Return what a message's two halves tell.

    The last stamp before the wire and the first one behind it count, whichever points they are of.
    """
    near_node, far_node = near.origin.place.node, far.origin.place.node
    near_ref, far_ref = (near_node.clock_id, near_node.name), (far_node.clock_id, far_node.name)
    far_times_ns = far.times_ns
    if near.course.direction is _REQUEST:
        sign, near_ns, far_ns = 1, near.times_ns[-1], far_times_ns[0]
        is_exact = _is_one_packet(near.course, far.course)
    else:
        sign, near_ns, far_ns = -1, near.times_ns[0], far_times_ns[-1]
        is_exact = _is_one_packet(far.course, near.course)
    is_doubtful = abs(near.origin.epoch_offset_ns - far.origin.epoch_offset_ns) > STEP_NS
    if near_ref <= far_ref:
        pair, gap_ns = (near_ref, far_ref), far_ns - near_ns
        return Sighting(pair, sign, near_ns, gap_ns, True, far_times_ns, is_exact, is_doubtful)  # noqa: FBT003 - a field
    pair, gap_ns = (far_ref, near_ref), near_ns - far_ns
    return Sighting(pair, -sign, far_ns, gap_ns, False, far_times_ns, is_exact, is_doubtful)  # noqa: FBT003 - a field


def _is_one_packet(sender: Course, receiver: Course) -> bool:
    return has_wire(sender, receiver) and not sender.is_ambiguous and not receiver.is_ambiguous
