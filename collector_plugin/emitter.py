"""Turns the hops that a message hands out into network spans, as detailed as the user wants them.

Pure. Every hop that comes in is measured, and becomes a span or an event of one, or is dropped under a HopReason.
"""

import collections

from collector_plugin.caps import SpanCaps
from collector_plugin.clocks import ClockSource
from collector_plugin.exchanges import ExchangeTable, Offer
from collector_plugin.hop_durations import MAX_LABEL, HopDurations
from collector_plugin.inject import inject_hop, inject_summary
from collector_plugin.join_settings import JoinSettings
from collector_plugin.messages import PARENT_KEY_BYTES
from collector_plugin.network_span import Detail, Emission, NetworkSpan
from collector_plugin.parents import ParentStore
from collector_plugin.placement import lies_inside
from collector_plugin.ready_hops import ReadyHop
from collector_plugin.reasons import HopReason
from node_probe.transit import TRACE_ID_BYTES, Direction

_DIRECTIONS = tuple(direction.label for direction in Direction)


class Emitter:
    """Makes network spans, and counts them."""

    def __init__(self, settings: JoinSettings, parents: ParentStore) -> None:
        """`parents` tells which span ids are taken."""
        self.emitted: collections.Counter[str] = collections.Counter()
        """Network spans by name."""
        self.dropped: dict[HopReason, int] = dict.fromkeys(HopReason, 0)
        self.durations = HopDurations()
        self.exchanges = ExchangeTable(settings.slow_threshold_ns, settings.settle_ns, settings.window_ns)
        """Used with `slow` alone."""
        self._settings = settings
        self._parents = parents
        self._caps = SpanCaps(settings.max_per_trace, settings.window_ns)
        self._ready: list[Emission] = []

    def emit(self, offer: Offer, now_ns: int) -> None:
        """Make spans of a message's hops, now or when its exchange is decided."""
        self._measure(offer, now_ns)
        if self._settings.detail is Detail.SLOW:
            verdict = self.exchanges.add(offer, offer.message.network_ns, now_ns)
            self._obey(verdict.shown, verdict.left_out, now_ns)
        else:
            self._make_spans(offer, now_ns)

    def take(self, now_ns: int) -> list[Emission]:
        """Return what came about since the last call."""
        if self._settings.detail is Detail.SLOW:
            verdict = self.exchanges.take_due(now_ns)
            self._obey(verdict.shown, verdict.left_out, now_ns)
        ready, self._ready = self._ready, []
        return ready

    def _obey(self, shown: list[Offer], left_out: list[Offer], now_ns: int) -> None:
        self.dropped[HopReason.NOT_SLOW] += sum(len(offer.hops) for offer in left_out)
        for offer in shown:
            self._make_spans(offer, now_ns)

    def _measure(self, offer: Offer, now_ns: int) -> None:
        message, trace_id, observe = offer.message, offer.parent.trace_id, self.durations.observe
        direction, service = _DIRECTIONS[message.key[PARENT_KEY_BYTES]], offer.parent.service[:MAX_LABEL]
        for item in offer.hops:
            hop, stop_ns = item.hop, item.hop.stop.monotonic_ns
            duration_ns = stop_ns - hop.start.monotonic_ns
            message.network_ns += duration_ns
            key = (hop.name, direction, *message.name_nodes(item), service)
            observe(key, (duration_ns, stop_ns + item.epoch_offset_ns, trace_id), now_ns)

    def _make_spans(self, offer: Offer, now_ns: int) -> None:
        hops = offer.hops
        if hops and hops[0].clock is ClockSource.EPOCH:
            # The far half alone: none of its hops is on the parent's clock.
            inside = [item for item in hops if lies_inside(item.from_epoch_ns, item.to_epoch_ns, offer.parent)]
            self.dropped[HopReason.CLOCK] += len(hops) - len(inside)
            hops = inside
        if self._settings.detail is Detail.SUMMARY:
            spans = self._make_summary(hops, offer, now_ns)
        else:
            spans = self._make_hop_spans(hops, offer, now_ns)
        if spans:
            self._ready.append(Emission(offer.parent.resource, tuple(spans)))

    def _make_hop_spans(self, hops: list[ReadyHop], offer: Offer, now_ns: int) -> list[NetworkSpan]:
        least_ns = self._settings.min_duration_ns
        if least_ns:
            kept = [item for item in hops if item.hop.duration_ns >= least_ns]
            self.dropped[HopReason.MIN_DURATION] += len(hops) - len(kept)
            hops = kept
        if not hops:
            return []
        message, parent, attempt = offer.message, offer.parent, offer.attempt
        admitted, reason = self._caps.admit(_name_owner(offer), len(hops), now_ns)
        self.dropped[reason] += len(hops) - admitted
        spans = []
        for item in hops[:admitted]:
            span = inject_hop(item, message, parent, attempt)
            if self._is_new(span):
                spans.append(span)
            else:
                self.dropped[HopReason.ID_TAKEN] += 1
        return spans

    def _make_summary(self, hops: list[ReadyHop], offer: Offer, now_ns: int) -> list[NetworkSpan]:
        if not hops:
            return []
        if hops[-1].to_epoch_ns - hops[0].from_epoch_ns < self._settings.min_duration_ns:
            self.dropped[HopReason.MIN_DURATION] += len(hops)
            return []
        admitted, reason = self._caps.admit(_name_owner(offer), 1, now_ns)
        if admitted:
            span = inject_summary(hops, offer.message, offer.parent, offer.attempt)
            if self._is_new(span):
                return [span]
            reason = HopReason.ID_TAKEN
        self.dropped[reason] += len(hops)
        return []

    def _is_new(self, span: NetworkSpan) -> bool:
        """Count the span, unless an application span has its id: to Zipkin the two would be one."""
        if self._parents.has(span.trace_id + span.span_id):
            return False
        self.emitted[span.name] += 1
        return True


def _name_owner(offer: Offer) -> bytes:
    """Return trace id and span id of the parent, as the application has them."""
    return offer.parent.trace_id + offer.message.parent_key[TRACE_ID_BYTES:]
