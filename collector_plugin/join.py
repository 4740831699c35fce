"""Joins transits with the spans they belong to, and with each other, and releases what came of it.

Pure: no IO, no lock; `now_ns` is any clock that never steps. Every transit that came in is joined, or released under
a TransitReason, or waits; every hop of a joined message is emitted, or dropped under a HopReason, or held.
"""

from collections.abc import Mapping

from collector_plugin.clock_holds import HeldMessages
from collector_plugin.clocks import Clocks
from collector_plugin.emitter import Emitter
from collector_plugin.exchanges import Offer
from collector_plugin.halves import Half, Origin, judge_record
from collector_plugin.hop_durations import HopDurations
from collector_plugin.hops import PLAIN_ENDS, DescribeEnds
from collector_plugin.join_settings import JoinSettings
from collector_plugin.message_table import MessageTable
from collector_plugin.messages import PARENT_KEY_BYTES, Message
from collector_plugin.network_span import Emission
from collector_plugin.packed_spans import Spans, pack_spans
from collector_plugin.parents import MAX_BYTES, Parent, ParentStore
from collector_plugin.places import KnownPlaces
from collector_plugin.reasons import ForgetReason, HopReason, TransitReason
from collector_plugin.settling import Settling
from collector_plugin.waiting import WaitingTransits
from node_probe.wire_batch import RawBatch, RawTransit
from node_probe.wire_record import RecordError, RecordVersionError, read_message_key

PARENT_SLACK_NS = 10 * 10**9
"""How much longer than transits parents are remembered: the probe's retries, and a probe's clock of its own."""


class Join:
    """The state of the join."""

    def __init__(self, settings: JoinSettings, describe_ends: DescribeEnds = PLAIN_ENDS) -> None:
        """Start empty, all counts at 0; `describe_ends` tells spans of source and destination."""
        self.received = 0
        """Transits that came in, readable or not."""
        self.joined = 0
        """Transits whose hops were handed to emission."""
        self.released: dict[TransitReason, int] = dict.fromkeys(TransitReason, 0)
        self.parents = ParentStore(MAX_BYTES, settings.window_ns + PARENT_SLACK_NS)
        self.waiting = WaitingTransits(settings.window_ns)
        self.messages = MessageTable()
        self._places = KnownPlaces()
        self.clocks, self.held = Clocks(), HeldMessages()
        self._messages_evicted = 0
        self._settings = settings
        self._describe_ends = describe_ends
        self._emitter = Emitter(settings, self.parents)
        self._settling = Settling(settings.settle_ns)

    @property
    def emitted(self) -> dict[str, int]:
        """Return the network spans by name."""
        return self._emitter.emitted

    @property
    def dropped(self) -> dict[HopReason, int]:
        """Return the hops of joined messages that became no span."""
        return self._emitter.dropped

    @property
    def durations(self) -> HopDurations:
        """Return the distributions of the hops' durations."""
        return self._emitter.durations

    @property
    def waiting_count(self) -> int:
        """Return how many transits wait, for their parent or for what else they need."""
        return self.waiting.count + self.messages.waiting_count

    @property
    def forgotten(self) -> dict[ForgetReason, int]:
        """Return what was remembered and had to go before its time."""
        return {
            ForgetReason.PARENT_EVICTED: self.parents.evicted,
            ForgetReason.EXCHANGE_EVICTED: self._emitter.exchanges.evicted,
            ForgetReason.SERIES_EVICTED: self._emitter.durations.forgotten,
            ForgetReason.MESSAGE_EVICTED: self._messages_evicted,
            ForgetReason.PAIR_EVICTED: self.clocks.evicted,
        }

    def add_parents(
        self, resource: bytes, spans: Spans, now_ns: int, peers: Mapping[bytes, bytes] | None = None
    ) -> None:
        """Take in application spans: each may be the parent that transits wait for, or will.

        `peers` has, by span, the addresses (16 bytes) that spans say they called.
        """
        packed = pack_spans(spans)
        self.parents.remember(resource, packed, now_ns, peers)
        for key in self.waiting.find_awaited(packed):
            if taken := self.waiting.take(key):
                self._join_all(taken, self.parents.find(key), now_ns)

    def add_batch(self, batch: RawBatch, now_ns: int) -> None:
        """Take in the transits of one node."""
        place = self._places.find(batch.node, batch.interfaces)
        origin = Origin(place.node, batch.epoch_offset_ns, place.interfaces)
        for error in batch.rejected:
            unknown = isinstance(error, RecordVersionError)
            self.add_unreadable(1, TransitReason.VERSION if unknown else TransitReason.MALFORMED)
        self.received += len(batch.transits)
        for raw in batch.transits:
            reason = judge_record(raw.record, origin) or self._join_or_wait(raw, origin, now_ns)
            if reason is not None:
                self.released[reason] += 1

    def add_unreadable(self, count: int, reason: TransitReason) -> None:
        """Count transits that came in and could not be read."""
        self.received += count
        self.released[reason] += count

    def take_due(self, now_ns: int) -> list[Emission]:
        """Return the emissions that came about, after releasing everything whose time has come."""
        for message in self._settling.pop_due(now_ns):
            if self.messages.find(message.key) is message:
                self._settle(message, now_ns)
        self.released[TransitReason.NO_PARENT] += self.waiting.pop_due(now_ns)
        for message in self.messages.pop_due(now_ns):
            self._give_up(message, TransitReason.CLOCK)
        self.parents.expire(now_ns)
        self.clocks.expire(now_ns)
        return self._emitter.take(now_ns)

    def close(self, now_ns: int) -> list[Emission]:
        """Return all that can still be emitted; what cannot is released."""
        for message in self.messages.list_pending():
            self._settle(message, now_ns)
        ready = self.take_due(now_ns)
        for _ in self.messages.list_pending():
            self._give_up(self.messages.pop_oldest_pending(), TransitReason.CLOCK)
        self.released[TransitReason.SHUTDOWN] += self.waiting.clear()
        # Whatever is to be decided about an exchange is due by then.
        return ready + self._emitter.take(now_ns + self._settings.settle_ns)

    def _join_all(self, taken: list[tuple[RawTransit, Origin]], parent: Parent | None, now_ns: int) -> None:
        """Join transits whose parent has come; of halves that follow each other none waits for the other."""
        grown: Message | None = None
        for raw, origin in taken:
            key = read_message_key(raw.record, raw.trace_id, raw.parent_id)
            if grown is not None and grown.key != key:
                self._advance(grown, now_ns)
                grown = None
            message = grown or self.messages.find(key) or self.messages.begin(key, parent)
            reason = self._add_half(raw, origin, message) if isinstance(message, Message) else message
            if reason is not None:
                self.released[reason] += 1
            elif isinstance(message, Message):
                grown = message
        if grown is not None:
            self._advance(grown, now_ns)

    def _join_or_wait(self, raw: RawTransit, origin: Origin, now_ns: int) -> TransitReason | None:
        key = read_message_key(raw.record, raw.trace_id, raw.parent_id)
        known = self.messages.find(key)
        parent = known.parent if known is not None else self.parents.find(key[:PARENT_KEY_BYTES])
        if parent is None:
            reason = self.waiting.add(raw, origin, now_ns)
            while self.waiting.is_over_full:
                self.released[TransitReason.TRANSITS_FULL] += self.waiting.evict()
            return reason
        message = known or self.messages.begin(key, parent)
        if not isinstance(message, Message):
            return message
        reason = self._add_half(raw, origin, message)
        if reason is None:
            self._advance(message, now_ns)
        return reason

    def _add_half(self, raw: RawTransit, origin: Origin, message: Message) -> TransitReason | None:
        """Give a message its half, or return why not."""
        try:
            half = Half(raw, origin)
        except RecordError:
            return TransitReason.MALFORMED
        reason = message.add(half)
        if reason is None:
            self.messages.count_in(message, half)
        return reason

    def _advance(self, message: Message, now_ns: int) -> None:
        """Emit a message that was given a half if nothing is to be waited for, else give the other time to come."""
        seen = message.see()
        way = self.clocks.observe(seen, now_ns) if seen is not None else None
        if message.is_complete or message.is_settled:
            self._emit(message, now_ns)
        else:
            self._settling.add(message, now_ns)
            self.messages.file(message, now_ns + self._settings.window_ns)
        for held in self.held.release(way) if way is not None else ():
            self._settle(held, now_ns)
        while self.messages.is_over_full:
            for excess in self.messages.pop_excess():
                self._give_up(excess, TransitReason.TRANSITS_FULL)

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
            self.messages.file(oldest, now_ns + self._settings.window_ns)

    def _emit(self, message: Message, now_ns: int) -> None:
        was_held = message.is_held
        if not message.parent.waits:
            # Asked again: with B3's shared ids the CLIENT half may have come after the SERVER half.
            message.parent = self.parents.find(message.parent_key) or message.parent
        if message.is_for_another_peer:
            self.released[TransitReason.PEER] += len(message.pending)
            self.messages.count_out(message.pending)
            message.abandon()
        else:
            ready = message.take_ready(self.clocks, self._describe_ends)
            self.messages.count_out(ready.halves)
            self.joined += len(ready.halves)
            attempt = self.messages.take_attempt(message)
            self._emitter.emit(Offer(message, ready.hops, message.parent, attempt), now_ns)
        message.is_settled = True
        if message.is_held:
            self._hold(message, now_ns)
        elif was_held:
            self.held.discard(message.key)
        message.slim()
        self.messages.file(message, now_ns + self._settings.window_ns)
        while self.messages.remembers_too_many:
            self.messages.pop_oldest_emitted()
            self._messages_evicted += 1

    def _give_up(self, message: Message, reason: TransitReason) -> None:
        """Release what is still pending of a message."""
        self.held.discard(message.key)
        message.unpack()
        self.released[reason] += len(message.pending)
        self.messages.count_out(message.pending)
        self.dropped[HopReason.CLOCK] += message.count_held()
