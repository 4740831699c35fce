"""The messages that the join knows, bounded and in order of age: those with something pending, and those emitted.

Pure: `now_ns` is a parameter. Both orders are by deadline, since each has one fixed time to live.
"""

import bisect
import collections

from collector_plugin.halves import Half
from collector_plugin.messages import Message
from node_probe.transit import attempts_key

MAX_TRANSITS = 50_000
"""Transits that wait: five seconds, the SDKs' usual delay, of 10,000 a second."""

MAX_TRANSIT_BYTES = 96 << 20
"""What they may take by estimate; with the usual four stamps the number above is reached first."""

MAX_REMEMBERED = 50_000
"""Emitted messages remembered for their late counterpart and for duplicates."""

TRANSIT_BYTES, STAMP_BYTES = 1_500, 80
"""Estimate of a waiting transit, measured: the value, its message and its place in the table; and of each stamp."""


class MessageTable:
    """Messages by key, by parent, and by age."""

    def __init__(self) -> None:
        """Start empty."""
        self.waiting_count = 0
        """Transits whose hops were not handed out."""
        self.waiting_bytes = 0
        self._pending: collections.OrderedDict[bytes, Message] = collections.OrderedDict()
        self._emitted: collections.OrderedDict[bytes, Message] = collections.OrderedDict()
        self._orphans: dict[bytes, list[Message]] = {}
        self._attempts: dict[bytes, list[tuple[int, bytes]]] = {}

    @property
    def remembered_count(self) -> int:
        """Return the number of emitted messages that are remembered."""
        return len(self._emitted)

    @property
    def is_over_full(self) -> bool:
        """Tell whether more waits than may."""
        return self.waiting_count > MAX_TRANSITS or self.waiting_bytes > MAX_TRANSIT_BYTES

    @property
    def remembers_too_many(self) -> bool:
        """Tell whether more emitted messages are remembered than may be."""
        return len(self._emitted) > MAX_REMEMBERED

    def find(self, key: bytes) -> Message | None:
        """Return the message with this key, None where it is not known."""
        return self._pending.get(key) or self._emitted.get(key)

    def count_orphans(self, parent_key: bytes) -> int:
        """Return how many messages wait for the parent."""
        return len(self._orphans.get(parent_key, ()))

    def add(self, message: Message, half: Half) -> None:
        """Enter a new message with its first half."""
        first_ns = half.first_epoch_ns
        bisect.insort(self._attempts.setdefault(attempts_key(message.key), []), (first_ns, message.key))
        message.first_ns = first_ns
        self._pending[message.key] = message
        if message.parent is None:
            self._orphans.setdefault(message.parent_key, []).append(message)

    def number_attempt(self, message: Message) -> int:
        """Return which sending of its message this is among those known, from 1, in order of time."""
        attempts = self._attempts[attempts_key(message.key)]
        return bisect.bisect_left(attempts, (message.first_ns, message.key)) + 1

    def take_orphans(self, parent_key: bytes) -> list[Message]:
        """Return the messages that waited for the parent, which has come."""
        return self._orphans.pop(parent_key, [])

    def has_orphans(self) -> bool:
        """Tell whether any message waits for its parent."""
        return bool(self._orphans)

    def count_in(self, half: Half) -> None:
        """Count a transit that begins to wait."""
        self.waiting_count += 1
        self.waiting_bytes += _estimate_bytes(half)

    def count_out(self, halves: list[Half]) -> None:
        """Count transits that wait no longer."""
        self.waiting_count -= len(halves)
        self.waiting_bytes -= sum(_estimate_bytes(half) for half in halves)

    def file(self, message: Message, due_ns: int) -> None:
        """Give the message a new deadline, the latest of all, on the side where it belongs now."""
        message.due_ns = due_ns
        belongs, other = self._pending, self._emitted
        if not message.pending and not message.is_held:
            belongs, other = other, belongs
        other.pop(message.key, None)
        belongs[message.key] = message
        belongs.move_to_end(message.key)

    def pop_due(self, now_ns: int) -> list[Message]:
        """Remove and return the messages whose deadline has passed."""
        due: list[Message] = []
        for side in (self._pending, self._emitted):
            while side and (message := next(iter(side.values()))).due_ns <= now_ns:
                self._remove(message, side)
                due.append(message)
        return due

    def pop_oldest_pending(self) -> Message:
        """Remove and return the message that waited longest."""
        return self._remove(next(iter(self._pending.values())), self._pending)

    def pop_oldest_emitted(self) -> Message:
        """Remove and return the emitted message that was remembered longest."""
        return self._remove(next(iter(self._emitted.values())), self._emitted)

    def list_pending(self) -> list[Message]:
        """Return the messages with something pending, the oldest first."""
        return list(self._pending.values())

    def _remove(self, message: Message, side: collections.OrderedDict[bytes, Message]) -> Message:
        del side[message.key]
        orphans = self._orphans.get(message.parent_key)
        if message.parent is None and orphans is not None:
            # A short list: the join bounds how many messages wait for one parent.
            orphans.remove(message)
            if not orphans:
                del self._orphans[message.parent_key]
        group = attempts_key(message.key)
        attempts = self._attempts[group]
        del attempts[bisect.bisect_left(attempts, (message.first_ns, message.key))]
        if not attempts:
            del self._attempts[group]
        return message


def _estimate_bytes(half: Half) -> int:
    return TRANSIT_BYTES + STAMP_BYTES * len(half.transit.stamps)
