"""Turns the hops that a message hands out into network spans, as detailed as the user wants them.

Pure. Every hop that comes in is measured, and becomes a span or an event of one, or is dropped under a HopReason.
"""

import collections

from collector_plugin.caps import SpanCaps
from collector_plugin.clocks import ClockSource
from collector_plugin.exchanges import ExchangeTable, Offer
from collector_plugin.hop_durations import HopDurations
from collector_plugin.inject import inject_hops, inject_summary
from collector_plugin.join_settings import JoinSettings
from collector_plugin.messages import PARENT_KEY_BYTES
from collector_plugin.network_span import Detail, Emission, NetworkSpan
from collector_plugin.parents import ParentStore
from collector_plugin.placement import lies_inside
from collector_plugin.ready_hops import Hop
from collector_plugin.reasons import HopReason
from node_probe.transit import TRACE_ID_BYTES

AT_ONCE = 64
"""Messages that are handled together, step by step, so that a step finds its code in the processor's caches: one by
one they take a tenth longer. More at once would keep more in memory, and others waiting."""

_EPOCH = ClockSource.EPOCH


class Emitter:
    """Makes network spans, and counts them."""

    def __init__(self, settings: JoinSettings, parents: ParentStore) -> None:
        """`parents` tells which span ids are taken."""
        self.emitted: dict[str, int] = collections.defaultdict(int)
        """Network spans by name. No Counter, which takes twice as long."""
        self.dropped: dict[HopReason, int] = dict.fromkeys(HopReason, 0)
        self.durations = HopDurations()
        self.exchanges = ExchangeTable(settings.slow_threshold_ns, settings.settle_ns, settings.window_ns)
        """Used with `slow` alone."""
        self._settings = settings
        self._is_slow, self._is_summary = settings.detail is Detail.SLOW, settings.detail is Detail.SUMMARY
        self._parents = parents
        self._caps = SpanCaps(settings.max_per_trace, settings.window_ns)
        self._offers: list[Offer] = []
        self._ready: list[Emission] = []

    def emit(self, offer: Offer, now_ns: int) -> None:
        """Make spans of a message's hops: soon, or when its exchange is decided."""
        self._offers.append(offer)
        if len(self._offers) >= AT_ONCE:
            self.make_spans(now_ns)

    def take(self, now_ns: int) -> list[Emission]:
        """Return what came about since the last call."""
        self.make_spans(now_ns)
        if self._is_slow:
            verdict = self.exchanges.take_due(now_ns)
            self._obey(verdict.shown, verdict.left_out, now_ns)
        ready, self._ready = self._ready, []
        return ready

    def make_spans(self, now_ns: int) -> None:
        """Make the spans of what was taken in, as far as they are wanted."""
        offers, self._offers = self._offers, []
        for offer in offers:
            self.durations.observe(offer.hops, offer.parent, now_ns)
        for offer in offers:
            if self._is_slow:
                message = offer.message
                message.network_ns += sum(stop_ns - start_ns for start_ns, stop_ns, *_ in offer.hops)
                verdict = self.exchanges.add(offer, message.network_ns, now_ns)
                self._obey(verdict.shown, verdict.left_out, now_ns)
            else:
                self._show(offer, now_ns)

    def _obey(self, shown: list[Offer], left_out: list[Offer], now_ns: int) -> None:
        self.dropped[HopReason.NOT_SLOW] += sum(len(offer.hops) for offer in left_out)
        for offer in shown:
            self._show(offer, now_ns)

    def _show(self, offer: Offer, now_ns: int) -> None:
        hops = offer.hops
        if hops and hops[0][-1].clock is _EPOCH:
            # The far half alone: none of its hops is on the parent's clock.
            inside = [hop for hop in hops if lies_inside(hop[0], hop[1], offer.parent)]
            self.dropped[HopReason.CLOCK] += len(hops) - len(inside)
            hops = inside
        if self._is_summary:
            spans = self._make_summary(hops, offer, now_ns)
        else:
            spans = self._make_hop_spans(hops, offer, now_ns)
        if spans:
            self._ready.append(Emission(offer.parent.resource, tuple(spans)))

    def _make_hop_spans(self, hops: list[Hop], offer: Offer, now_ns: int) -> list[NetworkSpan]:
        least_ns = self._settings.min_duration_ns
        if least_ns:
            kept = [hop for hop in hops if hop[1] - hop[0] >= least_ns]
            self.dropped[HopReason.MIN_DURATION] += len(hops) - len(kept)
            hops = kept
        if not hops:
            return []
        admitted, reason = self._caps.admit(_name_owner(offer), len(hops), now_ns)
        if admitted < len(hops):
            self.dropped[reason] += len(hops) - admitted
            hops = hops[:admitted]
        spans = inject_hops(hops, offer.message, offer.parent, offer.attempt)
        new = self._take_new(spans)
        if len(new) < len(spans):
            self.dropped[HopReason.ID_TAKEN] += len(spans) - len(new)
        return new

    def _make_summary(self, hops: list[Hop], offer: Offer, now_ns: int) -> list[NetworkSpan]:
        if not hops:
            return []
        if hops[-1][1] - hops[0][0] < self._settings.min_duration_ns:
            self.dropped[HopReason.MIN_DURATION] += len(hops)
            return []
        admitted, reason = self._caps.admit(_name_owner(offer), 1, now_ns)
        if admitted:
            span = inject_summary(hops, offer.message, offer.parent, offer.attempt)
            new = self._take_new([span])
            if new:
                return new
            reason = HopReason.ID_TAKEN
        self.dropped[reason] += len(hops)
        return []

    def _take_new(self, spans: list[NetworkSpan]) -> list[NetworkSpan]:
        """Return and count the spans whose id no application span has: to Zipkin the two would be one."""
        if not spans:
            return spans
        taken = self._parents.list_known(spans[0].trace_id, spans)
        if taken:
            spans = [span for span in spans if span.span_id not in taken]
        emitted = self.emitted
        for span in spans:
            emitted[span.name] += 1
        return spans


def _name_owner(offer: Offer) -> bytes:
    """Return trace id and span id of the parent, as the application has them."""
    return offer.parent.trace_id + offer.message.key[TRACE_ID_BYTES:PARENT_KEY_BYTES]
