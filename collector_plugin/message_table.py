"""The messages whose parent is known, bounded and in order of age: those with something pending, and those emitted.

Pure: `now_ns` is a parameter. Both orders are by deadline, since each has one fixed time to live.
"""

import collections

from collector_plugin.attempts import Attempts
from collector_plugin.messages import Message
from collector_plugin.parent import Parent
from collector_plugin.reasons import TransitReason
from collector_plugin.sources import find_level
from node_probe.transit import attempts_key

MAX_TRANSITS = 50_000
"""Transits that wait for their counterpart, or for clocks: five seconds of 10,000 a second, of which each half is
alone; the usual wait is two."""

MAX_TRANSIT_BYTES = 64 << 20
"""What they may take by estimate; with the usual four stamps the number above is reached first."""

MAX_REMEMBERED = 50_000
"""Emitted messages remembered for their late counterpart and for duplicates."""

MAX_ATTEMPTS = 32
"""Sendings of one message: Linux gives up after fifteen (tcp_retries2), and a probe of the tail is one more."""

_EVICTED_PART = 16
"""At a time one in so many of the pending messages goes, so that looking through all costs each of them little."""

TRANSIT_BYTES = 900
"""Estimate of what a waiting transit takes beside its record, measured: message, parent and their places."""


class MessageTable:
    """Messages by key and by age."""

    def __init__(self) -> None:
        """Start empty."""
        self.waiting_count = 0
        """Transits whose hops were not handed out."""
        self.waiting_bytes = 0
        self.attempts = Attempts()
        """How often the messages that were handed out had been sent."""
        self._pending: collections.OrderedDict[bytes, Message] = collections.OrderedDict()
        self._emitted: collections.OrderedDict[bytes, Message] = collections.OrderedDict()
        self._attempts: dict[bytes, Message | list[Message]] = {}

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

    def begin(self, key: bytes, parent: Parent | None) -> Message | TransitReason:
        """Return a new message, not entered yet, or why there can be none."""
        if parent is None:
            return TransitReason.NO_PARENT
        group = attempts_key(key)
        known = self._attempts.get(group)
        if isinstance(known, list) and len(known) >= MAX_ATTEMPTS:
            return TransitReason.ATTEMPT_CAP
        return Message(key, parent, group)

    def enter(self, message: Message, first_ns: int) -> None:
        """Enter a new message among the sendings of its own, `first_ns` its first stamp; `file` places it."""
        message.first_ns = first_ns
        group = message.group
        known = self._attempts.get(group)
        if known is None:
            # Nearly always the only one: a list of one would take more than all else here.
            self._attempts[group] = message
        elif isinstance(known, list):
            known.append(message)
        else:
            self._attempts[group] = [known, message]

    def take_attempt(self, message: Message) -> int:
        """Return which sending of its message this is, from 1, in order of time: of those known or told of.

        It is counted when it is first asked for, before the message is settled.
        """
        known = self._attempts[message.group]
        if not isinstance(known, list):
            if not message.is_settled:
                self.attempts.observe(message, is_again=False)
            return 1 + message.earlier
        if not message.is_settled:
            # Whichever came out first counts as the first, since the earlier sending may be told of later.
            self.attempts.observe(message, is_again=any(other.is_settled for other in known))
        own = (message.first_ns, message.key)
        return 1 + max(message.earlier, sum((other.first_ns, other.key) < own for other in known))

    def file(self, message: Message, due_ns: int) -> None:
        """Give the message a new deadline, the latest of all, on the side where it belongs now."""
        belongs, other = self._emitted, self._pending
        if message.counted:
            self._count_out(message)
        if message.has_pending:
            belongs, other = other, belongs
            self._count_in(message)
        key = message.key
        if message.due_ns:
            # It lies somewhere already; a new one is the usual case.
            other.pop(key, None)
            belongs.pop(key, None)
        belongs[key] = message
        message.due_ns = due_ns

    def pop_due(self, now_ns: int) -> list[Message]:
        """Remove and return the messages whose deadline has passed."""
        due: list[Message] = []
        for side in (self._pending, self._emitted):
            while side and (message := next(iter(side.values()))).due_ns <= now_ns:
                self._remove(message, side)
                due.append(message)
        return due

    def pop_excess(self) -> list[Message]:
        """Remove and return messages with something pending: the oldest of the sources that have most."""
        by_source: collections.defaultdict[int, list[Message]] = collections.defaultdict(list)
        for message in self._pending.values():
            by_source[message.find_source()].append(message)
        level = find_level(map(len, by_source.values()), max(1, len(self._pending) // _EVICTED_PART))
        excess = [message for group in by_source.values() for message in group[: max(0, len(group) - level)]]
        for message in excess:
            self._remove(message, self._pending)
        return excess

    def pop_oldest_pending(self) -> Message:
        """Remove and return the message that waited longest."""
        return self._remove(next(iter(self._pending.values())), self._pending)

    def pop_oldest_emitted(self) -> Message:
        """Remove and return the emitted message that was remembered longest."""
        return self._remove(next(iter(self._emitted.values())), self._emitted)

    def list_pending(self) -> list[Message]:
        """Return the messages with something pending, the oldest first."""
        return list(self._pending.values())

    def _count_in(self, message: Message) -> None:
        message.counted = tuple(map(len, message.list_waiting()))
        self.waiting_count += len(message.counted)
        self.waiting_bytes += TRANSIT_BYTES * len(message.counted) + sum(message.counted)

    def _count_out(self, message: Message) -> None:
        self.waiting_count -= len(message.counted)
        self.waiting_bytes -= TRANSIT_BYTES * len(message.counted) + sum(message.counted)
        message.counted = ()

    def _remove(self, message: Message, side: collections.OrderedDict[bytes, Message]) -> Message:
        del side[message.key]
        self._count_out(message)
        group = message.group
        known = self._attempts[group]
        if isinstance(known, list):
            known.remove(message)
        if known in (message, []):
            del self._attempts[group]
        return message
