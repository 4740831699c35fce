"""Judges by the process's memory whether the messages that are being read take more than they may.

Pure. gRPC tells nobody how much of a message has come, so it is what no store and no complete request accounts for.
"""

import enum

import msgspec


class Level(enum.IntEnum):
    """How much requests take, complete or not."""

    LOW = 0
    HIGH = 1
    """More than they may."""
    FULL = 2
    """So much more that it cannot be waited for."""


class Memory(msgspec.Struct, frozen=True):
    """What the process has at one moment."""

    resident_bytes: int
    stored_bytes: int
    """Of it what is remembered, and grows by itself."""
    held_bytes: int
    """Of it what complete requests hold."""
    unfinished: int
    """Messages that are being read."""


COPIES = 2
"""Of a message that is complete and still being read: gRPC's pieces, and the bytes that they are put together to."""


class ReadCeiling:
    """What the process holds without requests, as far as is known, and the bounds of what lies above."""

    def __init__(self, budget_bytes: int, message_bytes: int) -> None:
        """Let requests take up to `budget_bytes`, of which unfinished ones half, but always one of `message_bytes`.

        Half, since what comes between two looks is bounded by nothing but the speed of clients.
        """
        self._budget_bytes = budget_bytes
        self._message_bytes = message_bytes
        self._unfinished_bytes = max(budget_bytes // 2, message_bytes)
        self._rest_bytes = 0

    def learn(self, memory: Memory) -> None:
        """Take in how much is there without requests: all there is, while no message is unfinished.

        Else at least what they cannot have, however much of them has come.
        """
        taken_bytes = memory.stored_bytes + memory.held_bytes + memory.unfinished * COPIES * self._message_bytes
        rest_bytes = memory.resident_bytes - taken_bytes
        self._rest_bytes = max(self._rest_bytes, rest_bytes) if memory.unfinished else rest_bytes

    def judge(self, memory: Memory) -> Level:
        """Return the level."""
        requests_bytes = memory.resident_bytes - memory.stored_bytes - self._rest_bytes
        excess_bytes = max(
            requests_bytes - self._budget_bytes, requests_bytes - memory.held_bytes - self._unfinished_bytes
        )
        if excess_bytes > self._budget_bytes // 4:
            return Level.FULL
        return Level.HIGH if excess_bytes > 0 else Level.LOW

    def can_be_reached(self, unfinished: int) -> bool:
        """Tell whether so many messages can take more than they may: else whatever takes memory, it is not they."""
        return unfinished * self._message_bytes > self._unfinished_bytes
