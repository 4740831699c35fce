"""Decides when the hops of messages whose parent is known are handed out, and what of them never is.

Pure: no IO, no lock; `now_ns` is any clock that never steps. A message is handed out once nothing better is waited
for: its other half, or a relation of its nodes' clocks.
"""

from collections.abc import Iterable

from collector_plugin.clock_holds import HeldMessages
from collector_plugin.clocks import Clocks
from collector_plugin.emitter import Emitter
from collector_plugin.exchanges import Offer
from collector_plugin.hops import DescribeEnds
from collector_plugin.join_settings import JoinSettings
from collector_plugin.message_table import MessageTable
from collector_plugin.messages import Message
from collector_plugin.network_span import Emission
from collector_plugin.parents import ParentStore
from collector_plugin.reasons import HopReason, TransitReason
from collector_plugin.settling import Settling


class Progress:
    """The messages, and what each of them waits for."""

    def __init__(
        self,
        settings: JoinSettings,
        parents: ParentStore,
        released: dict[TransitReason, int],
        describe_ends: DescribeEnds,
    ) -> None:
        """Start without messages; what is given up is counted in `released`."""
        self.joined = 0
        """Transits whose hops were handed to emission."""
        self.messages_evicted = 0
        self.messages = MessageTable()
        self.clocks, self.held = Clocks(), HeldMessages()
        self.emitter = Emitter(settings, parents)
        self._released = released
        self._parents = parents
        self._window_ns, self._settle_ns = settings.window_ns, settings.settle_ns
        self._describe_ends = describe_ends
        self._settling = Settling(settings.settle_ns)

    def advance(self, grown: Iterable[Message], now_ns: int) -> None:
        """Go on with messages that were given halves."""
        for message in grown:
            self._advance(message, now_ns)
        # Not before: until then each of them has to be known.
        while self.messages.is_over_full:
            for excess in self.messages.pop_excess():
                self._give_up(excess, TransitReason.TRANSITS_FULL)
        self._forget_excess()

    def take_due(self, now_ns: int) -> list[Emission]:
        """Return the emissions that came about, after settling and giving up what has waited long enough."""
        for message in self._settling.pop_due(now_ns):
            if self.messages.find(message.key) is message:
                self._settle(message, now_ns)
        for message in self.messages.pop_due(now_ns):
            self._give_up(message, TransitReason.CLOCK)
        self._forget_excess()
        self.clocks.expire(now_ns)
        return self.emitter.take(now_ns)

    def close(self, now_ns: int) -> list[Emission]:
        """Return all that can still be emitted, and give up the rest."""
        for message in self.messages.list_pending():
            self._settle(message, now_ns)
        ready = self.take_due(now_ns)
        for _ in self.messages.list_pending():
            self._give_up(self.messages.pop_oldest_pending(), TransitReason.CLOCK)
        # Whatever is to be decided about an exchange is due by then.
        return ready + self.emitter.take(now_ns + self._settle_ns)

    def _advance(self, message: Message, now_ns: int) -> None:
        """Emit a message that was given a half if nothing is to be waited for, else give the other time to come."""
        seen = message.see()
        way = self.clocks.observe(seen, now_ns) if seen is not None else None
        if message.is_complete or message.is_settled:
            self._emit(message, now_ns)
        else:
            self._settling.add(message, now_ns)
            self.messages.file(message, now_ns + self._window_ns)
        for held in self.held.release(way) if way is not None else ():
            self._settle(held, now_ns)

    def _settle(self, message: Message, now_ns: int) -> None:
        """Hand out what can be now that nothing better is waited for."""
        message.unpack()
        message.is_patient = not message.is_complete
        if not message.is_settled or (message.is_held and message.relate(self.clocks) is not None):
            self._emit(message, now_ns)

    def _hold(self, message: Message, now_ns: int) -> None:
        seen = message.see()
        assert seen is not None
        self.held.add(message, seen.way_back)
        if message.is_patient:
            self._settling.add(message, now_ns)
        for oldest in self.held.pop_excess():
            self._give_up(oldest, TransitReason.CLOCK)
            oldest.abandon_held()
            oldest.slim()
            self.messages.file(oldest, now_ns + self._window_ns)

    def _emit(self, message: Message, now_ns: int) -> None:
        was_held = message.is_held
        if not message.parent.waits:
            # Asked again: with B3's shared ids the CLIENT half may have come after the SERVER half.
            message.parent = self._parents.find(message.parent_key) or message.parent
        if message.is_for_another_peer:
            self._released[TransitReason.PEER] += len(message.list_waiting())
            message.abandon()
        else:
            ready = message.take_ready(self.clocks, self._describe_ends)
            self.joined += ready.half_count
            attempt = self.messages.take_attempt(message)
            self.emitter.emit(Offer(message, ready.hops, message.parent, attempt), now_ns)
        message.is_settled = True
        if message.is_held:
            self._hold(message, now_ns)
        elif was_held:
            self.held.discard(message.key)
        message.slim()
        self.messages.file(message, now_ns + self._window_ns)

    def _give_up(self, message: Message, reason: TransitReason) -> None:
        """Release what is still pending of a message."""
        self.held.discard(message.key)
        message.unpack()
        self._released[reason] += len(message.list_waiting())
        self.emitter.dropped[HopReason.CLOCK] += message.count_held()

    def _forget_excess(self) -> None:
        while self.messages.remembers_too_many:
            self.messages.pop_oldest_emitted()
            self.messages_evicted += 1
