"""Relates the clocks of two nodes: what must be taken from the far node's stamps to lay them on the near clock.

Pure. In this version only nodes that share a clock can be related; there is no bound for others.
"""

import enum

import msgspec

from collector_plugin.halves import Half, Role


class ClockSource(enum.StrEnum):
    """How the far node's stamps came onto the parent's clock; the value of `hopspan.clock.source`."""

    SAME = "same"
    """The nodes share one kernel clock."""
    EPOCH = "epoch"
    """By the far node's own wall clock, since nothing of the near node is known."""


class ClockRelation(msgspec.Struct, frozen=True):
    """What is known of two nodes' clocks."""

    source: ClockSource
    theta_ns: int
    """The far node's monotonic clock minus the near node's."""


def relate_clocks(near: Half, far: Half) -> ClockRelation | None:
    """Return how the clocks of a message's two nodes relate, None where nothing is known.

    Equal clock ids that would make the wire time negative are those of cloned machines: nothing is known then.
    """
    if near.origin.node.clock_id != far.origin.node.clock_id:
        return None
    sender, receiver = (near, far) if near.role is Role.SENDER else (far, near)
    if receiver.transit.stamps[0].monotonic_ns < sender.transit.stamps[-1].monotonic_ns:
        return None
    return ClockRelation(ClockSource.SAME, 0)
