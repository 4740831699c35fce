"""Joins transits with the spans they belong to, and with each other, and releases what came of it.

Pure: no IO, no lock; `now_ns` is any clock that never steps. Every transit that came in is joined, or released under
a TransitReason, or waits; every hop of a joined message is emitted, or dropped under a HopReason, or held.
"""

from collections.abc import Mapping

from collector_plugin.emitter import AT_ONCE
from collector_plugin.halves import Half, Origin, judge_record
from collector_plugin.hop_durations import HopDurations
from collector_plugin.hops import PLAIN_ENDS, DescribeEnds
from collector_plugin.join_settings import JoinSettings
from collector_plugin.messages import Message
from collector_plugin.network_span import Emission
from collector_plugin.packed_spans import Spans, join_half, pack_spans
from collector_plugin.parent import Parent
from collector_plugin.parents import MAX_BYTES, ParentStore
from collector_plugin.places import KnownPlaces
from collector_plugin.progress import Progress
from collector_plugin.reasons import ForgetReason, HopReason, TransitReason
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
        self.released: dict[TransitReason, int] = dict.fromkeys(TransitReason, 0)
        self.parents = ParentStore(MAX_BYTES, settings.window_ns + PARENT_SLACK_NS)
        self.waiting = WaitingTransits(settings.window_ns)
        self._places = KnownPlaces()
        self._progress = progress = Progress(settings, self.parents, self.released, describe_ends)
        self._emitter = progress.emitter
        self.messages, self.clocks, self.held = progress.messages, progress.clocks, progress.held
        self._grown: dict[bytes, Message] = {}
        """By key, messages that were given a half and did not go on yet."""

    @property
    def joined(self) -> int:
        """Return the transits whose hops were handed to emission."""
        return self._progress.joined

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
            ForgetReason.MESSAGE_EVICTED: self._progress.messages_evicted,
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
        self._advance(now_ns)

    def add_batch(self, batch: RawBatch, now_ns: int) -> None:
        """Take in the transits of one node."""
        origin = Origin(self._places.find(batch.node, batch.interfaces), batch.epoch_offset_ns)
        for error in batch.rejected:
            unknown = isinstance(error, RecordVersionError)
            self.add_unreadable(1, TransitReason.VERSION if unknown else TransitReason.MALFORMED)
        self.received += len(batch.transits)
        for raw in batch.transits:
            reason = judge_record(raw.record, origin) or self._join_or_wait(raw, origin, now_ns)
            if reason is not None:
                self.released[reason] += 1
            if len(self._grown) >= AT_ONCE:
                self._advance(now_ns)
        self._advance(now_ns)

    def add_unreadable(self, count: int, reason: TransitReason) -> None:
        """Count transits that came in and could not be read."""
        self.received += count
        self.released[reason] += count

    def make_spans(self, now_ns: int) -> None:
        """Make the spans of all that was handed out, so that no count lags behind another; `take_due` does too."""
        self._emitter.make_spans(now_ns)

    def take_due(self, now_ns: int) -> list[Emission]:
        """Return the emissions that came about, after releasing everything whose time has come."""
        self.released[TransitReason.NO_PARENT] += self.waiting.pop_due(now_ns)
        ready = self._progress.take_due(now_ns)
        self.parents.expire(now_ns)
        return ready

    def close(self, now_ns: int) -> list[Emission]:
        """Return all that can still be emitted; what cannot is released."""
        self.released[TransitReason.NO_PARENT] += self.waiting.pop_due(now_ns)
        ready = self._progress.close(now_ns)
        self.released[TransitReason.SHUTDOWN] += self.waiting.clear()
        return ready

    def _join_all(self, taken: list[tuple[RawTransit, Origin]], parent: Parent | None, now_ns: int) -> None:
        """Join transits whose parent has come; of halves that come together none waits for the other."""
        for raw, origin in taken:
            key = read_message_key(raw.record, raw.trace_id, raw.parent_id)
            message = self._find(key) or self.messages.begin(key, parent)
            reason = self._add_half(raw, origin, message) if isinstance(message, Message) else message
            if reason is not None:
                self.released[reason] += 1
        if len(self._grown) >= AT_ONCE:
            self._advance(now_ns)

    def _join_or_wait(self, raw: RawTransit, origin: Origin, now_ns: int) -> TransitReason | None:
        trace_id = raw.trace_id
        key = read_message_key(raw.record, trace_id, raw.parent_id)
        message: Message | TransitReason | None = self._find(key)
        if message is None:
            half = join_half(trace_id, raw.parent_id)
            parent = None if self.waiting.awaits(half, trace_id) else self.parents.find_half(half, trace_id)
            if parent is None:
                return self._wait(raw, half, origin, now_ns)
            message = self.messages.begin(key, parent)
        if not isinstance(message, Message):
            return message
        return self._add_half(raw, origin, message)

    def _find(self, key: bytes) -> Message | None:
        return self._grown.get(key) or self.messages.find(key)

    def _wait(self, raw: RawTransit, half: bytes, origin: Origin, now_ns: int) -> TransitReason | None:
        reason = self.waiting.add(raw, half, origin, now_ns)
        while self.waiting.is_over_full:
            self.released[TransitReason.TRANSITS_FULL] += self.waiting.evict()
        return reason

    def _add_half(self, raw: RawTransit, origin: Origin, message: Message) -> TransitReason | None:
        """Give a message its half, or return why not."""
        try:
            half = Half(raw, origin)
        except RecordError:
            return TransitReason.MALFORMED
        reason = message.add(half)
        if reason is None:
            if message.first_ns < 0:
                self.messages.enter(message, half.first_epoch_ns)
            self._grown[message.key] = message
        return reason

    def _advance(self, now_ns: int) -> None:
        grown, self._grown = self._grown, {}
        self._progress.advance(grown.values(), now_ns)
