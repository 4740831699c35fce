"""Joins transits with the spans they belong to, and with each other, and releases what came of it.

Pure: no IO, no lock; `now_ns` is any clock that never steps. Every transit that came in is joined, or released under
a TransitReason, or waits; every hop of a joined message is emitted, or dropped under a HopReason, or held.
"""

import collections

import msgspec

from collector_plugin.caps import MAX_PER_PARENT, SpanCaps
from collector_plugin.clocks import ClockSource
from collector_plugin.halves import Half, Origin, Role, parent_key
from collector_plugin.inject import Emission, NetworkSpan, inject_hop
from collector_plugin.message_table import MessageTable
from collector_plugin.messages import Message, ReadyHop
from collector_plugin.parents import Parent, ParentStore
from collector_plugin.placement import lies_inside
from collector_plugin.reasons import ForgetReason, HopReason, TransitReason
from collector_plugin.span_walk import SpanTimes
from node_probe.transit import message_key
from node_probe.wire_batch import TransitBatch
from node_probe.wire_record import RecordVersionError

MAX_PARENT_BYTES = 64 << 20
"""Some 390,000 spans: 39 s at 10,000 spans a second, while transits come within one."""

PARENT_SLACK_NS = 10 * 10**9
"""How much longer than transits parents are remembered: the probe's retries, and a probe's clock of its own."""


class JoinSettings(msgspec.Struct, frozen=True):
    """What the user set of the join."""

    window_ns: int
    settle_ns: int
    min_duration_ns: int
    max_per_trace: int


class Join:
    """The state of the join."""

    def __init__(self, settings: JoinSettings) -> None:
        """Start empty, all counts at 0."""
        self.received = 0
        """Transits that came in, readable or not."""
        self.joined = 0
        """Transits whose hops were handed to emission."""
        self.released: dict[TransitReason, int] = dict.fromkeys(TransitReason, 0)
        self.emitted: collections.Counter[str] = collections.Counter()
        """Network spans by name."""
        self.dropped: dict[HopReason, int] = dict.fromkeys(HopReason, 0)
        self.parents = ParentStore(MAX_PARENT_BYTES, settings.window_ns + PARENT_SLACK_NS)
        self.messages = MessageTable()
        self._messages_evicted = 0
        self._settings = settings
        self._caps = SpanCaps(settings.max_per_trace, settings.window_ns)
        self._settling: collections.deque[tuple[int, Message]] = collections.deque()
        self._ready: list[Emission] = []

    @property
    def forgotten(self) -> dict[ForgetReason, int]:
        """Return what was remembered and had to go before its time."""
        return {
            ForgetReason.PARENT_EVICTED: self.parents.evicted,
            ForgetReason.MESSAGE_EVICTED: self._messages_evicted,
        }

    def add_parents(self, resource: bytes, spans: list[SpanTimes], now_ns: int) -> None:
        """Take in application spans: each may be the parent that transits wait for, or will."""
        self.parents.remember(resource, spans, now_ns)
        if not self.messages.has_orphans():
            return
        for key, *_ in spans:
            for message in self.messages.take_orphans(key):
                message.parent = self.parents.find(key)
                self._advance(message, now_ns)

    def add_batch(self, batch: TransitBatch, now_ns: int) -> None:
        """Take in the transits of one node."""
        origin = Origin(batch.node, batch.epoch_offset_ns, batch.interfaces)
        for error in batch.rejected:
            unknown = isinstance(error, RecordVersionError)
            self.add_unreadable(1, TransitReason.VERSION if unknown else TransitReason.MALFORMED)
        for transit in batch.transits:
            self.received += 1
            self._add_half(Half(transit, origin), now_ns)

    def add_unreadable(self, count: int, reason: TransitReason) -> None:
        """Count transits that came in and could not be read."""
        self.received += count
        self.released[reason] += count

    def take_due(self, now_ns: int) -> list[Emission]:
        """Return the emissions that came about, after releasing everything whose time has come."""
        while self._settling and self._settling[0][0] <= now_ns:
            _, message = self._settling.popleft()
            if not message.is_settled and self.messages.find(message.key) is message:
                self._emit(message, now_ns)
        for message in self.messages.pop_due(now_ns):
            self._give_up(message, TransitReason.NO_PARENT if message.parent is None else TransitReason.CLOCK)
        self.parents.expire(now_ns)
        ready, self._ready = self._ready, []
        return ready

    def close(self, now_ns: int) -> list[Emission]:
        """Return all that can still be emitted; what cannot is released."""
        for message in self.messages.list_pending():
            if message.parent is not None and not message.is_settled:
                self._emit(message, now_ns)
        ready = self.take_due(now_ns)
        for _ in self.messages.list_pending():
            message = self.messages.pop_oldest_pending()
            self._give_up(message, TransitReason.SHUTDOWN if message.parent is None else TransitReason.CLOCK)
        return ready

    def _add_half(self, half: Half, now_ns: int) -> None:
        key = message_key(half.transit)
        message = self.messages.find(key)
        reason = self._refuse(half, message)
        if reason is not None:
            self.released[reason] += 1
            return
        is_new = message is None
        if message is None:
            message = Message(key, parent_key(half.transit))
            message.parent = self.parents.find(message.parent_key)
        message.add(half)
        self.messages.count_in(half)
        if is_new:
            self.messages.add(message, half)
            self.messages.file(message, now_ns + self._settings.window_ns)
        if message.parent is not None:
            self._advance(message, now_ns)
        while self.messages.is_over_full:
            self._give_up(self.messages.pop_oldest_pending(), TransitReason.TRANSITS_FULL)

    def _refuse(self, half: Half, message: Message | None) -> TransitReason | None:
        if not half.has_lawful_times:
            return TransitReason.MALFORMED
        if half.role is Role.PASSING:
            return TransitReason.PASSING
        if message is not None:
            return message.refuse(half)
        if self.messages.count_orphans(parent_key(half.transit)) >= MAX_PER_PARENT:
            return TransitReason.PARENT_CAP
        return None

    def _advance(self, message: Message, now_ns: int) -> None:
        """Emit the message if nothing is to be waited for, else give its other half time to come."""
        if message.is_complete or message.is_settled:
            self._emit(message, now_ns)
        else:
            self._settling.append((now_ns + self._settings.settle_ns, message))
            self.messages.file(message, now_ns + self._settings.window_ns)

    def _emit(self, message: Message, now_ns: int) -> None:
        ready = message.take_ready()
        self.messages.count_out(ready.halves)
        self.joined += len(ready.halves)
        # Asked again: with B3's shared ids the CLIENT half may have come after the SERVER half.
        parent = self.parents.find(message.parent_key) or message.parent
        assert parent is not None
        spans = self._inject(message, ready.hops, parent, now_ns)
        if spans:
            self._ready.append(Emission(parent.resource, tuple(spans)))
        message.is_settled = True
        message.slim()
        self.messages.file(message, now_ns + self._settings.window_ns)
        while self.messages.remembers_too_many:
            self.messages.pop_oldest_emitted()
            self._messages_evicted += 1

    def _inject(self, message: Message, ready: list[ReadyHop], parent: Parent, now_ns: int) -> list[NetworkSpan]:
        attempt = self.messages.number_attempt(message)
        spans: list[NetworkSpan] = []
        for item in ready:
            reason = self._refuse_hop(item, message, parent, now_ns)
            if reason is not None:
                self.dropped[reason] += 1
                continue
            spans.append(inject_hop(item, message, parent, attempt))
            self.emitted[item.hop.name] += 1
        return spans

    def _refuse_hop(self, item: ReadyHop, message: Message, parent: Parent, now_ns: int) -> HopReason | None:
        if item.hop.duration_ns < self._settings.min_duration_ns:
            return HopReason.MIN_DURATION
        if item.clock is ClockSource.EPOCH and not lies_inside(item.from_epoch_ns, item.to_epoch_ns, parent):
            return HopReason.CLOCK
        return self._caps.admit(message.parent_key, now_ns)

    def _give_up(self, message: Message, reason: TransitReason) -> None:
        """Release what is still pending of a message that is no longer known."""
        pending = message.pending
        self.messages.count_out(pending)
        self.released[reason] += len(pending)
        self.dropped[HopReason.CLOCK] += message.count_held()
