"""Counts how often messages were sent, and how often again, by direction and by the node that sent them.

Pure. The number of nodes is bounded: what comes of others is counted under OTHER, so that no sum lacks anything.
"""

from collector_plugin.courses import Role
from collector_plugin.hop_durations import OTHER
from collector_plugin.messages import Message
from node_probe.transit import Direction

MAX_NODES = 500
"""Nodes told apart, four lines of the metrics page each."""

MAX_LABEL = 100
"""Characters of a node's name: a peer may send any length."""

_RECEIVER = Role.RECEIVER

AttemptCount = tuple[Direction, str, int, int]
"""Direction, node, how many messages there were, and how many further attempts to send one."""


class Attempts:
    """The counts of all nodes."""

    def __init__(self) -> None:
        """Start with none."""
        self._counts: dict[str, list[int]] = {}
        """By node: for each direction those of first and of further attempts. Every message passes here."""

    def observe(self, message: Message, *, is_again: bool) -> None:
        """Count one sending of a message, `is_again` where another one was counted already."""
        near, far = message.near, message.far
        # The sender; where only the receiver is known, that.
        half = far if near is None or (far is not None and near.role is _RECEIVER) else near
        assert half is not None
        node = half.origin.place.node.name[:MAX_LABEL]
        counts = self._counts.get(node)
        if counts is None:
            if len(self._counts) >= MAX_NODES:
                node = OTHER
            counts = self._counts.setdefault(node, [0] * (2 * len(Direction)))
        counts[2 * half.course.direction + is_again] += 1

    def read(self) -> list[AttemptCount]:
        """Return all counts up to now."""
        return [
            (direction, node, counts[2 * direction], counts[2 * direction + 1])
            for node, counts in sorted(self._counts.items())
            for direction in Direction
        ]
