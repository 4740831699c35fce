"""One node's part of a message: a transit, the node that it comes from, and the role that the node has in its way.

Pure. A message that crosses the wire has two halves; one that stays on its node is whole.
"""

import enum

import msgspec

from node_probe.transit import Direction, Point, Transit
from node_probe.wire_batch import NodeIdentity

MAX_TIME_NS = (1 << 63) - 1
"""OTLP's signed integers end here, and no clock comes near."""


class Origin(msgspec.Struct, frozen=True):
    """Where and when the transits of one batch were made; shared by all of them."""

    node: NodeIdentity
    epoch_offset_ns: int
    interfaces: dict[int, str]


class Role(enum.Enum):
    """What a node is in the way of a packet."""

    WHOLE = enum.auto()
    """From a pod to a pod of the same node."""
    SENDER = enum.auto()
    """From a pod towards the wire."""
    RECEIVER = enum.auto()
    """From the wire towards a pod."""
    PASSING = enum.auto()
    """From the wire to the wire."""


class Half(msgspec.Struct, frozen=True):
    """A transit and its origin."""

    transit: Transit
    origin: Origin

    @property
    def role(self) -> Role:
        """Return the node's role, by the first and the last point: a swept transit lacks points, not its role."""
        outgoing = self.transit.stamps[0].point <= Point.NIC_EGRESS
        incoming = self.transit.stamps[-1].point >= Point.NIC_INGRESS
        if outgoing:
            return Role.WHOLE if incoming else Role.SENDER
        return Role.RECEIVER if incoming else Role.PASSING

    @property
    def is_near(self) -> bool:
        """Tell whether this is the client side: the node whose pod opened the connection, thus the parent's."""
        if self.role is Role.WHOLE:
            return True
        return (self.role is Role.SENDER) == (self.transit.direction is Direction.REQUEST)

    @property
    def first_epoch_ns(self) -> int:
        """Return the first stamp by the node's own wall clock."""
        return self.transit.stamps[0].monotonic_ns + self.origin.epoch_offset_ns

    @property
    def has_lawful_times(self) -> bool:
        """Tell whether all stamps are times that a clock can show, also as epoch times."""
        first, last = self.transit.stamps[0].monotonic_ns, self.transit.stamps[-1].monotonic_ns
        offset = self.origin.epoch_offset_ns
        return last <= MAX_TIME_NS and first + offset >= 0 and last + offset <= MAX_TIME_NS


def parent_key(transit: Transit) -> bytes:
    """Return the key of the transit's parent, as parents are remembered: trace id and span id, 24 bytes."""
    return transit.context.trace_id + transit.context.parent_id
