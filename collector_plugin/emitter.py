"""Turns the hops that a message hands out into network spans, as detailed as the user wants them.

Pure. Every hop that comes in is measured, and becomes a span or an event of one, or is dropped under a HopReason.
"""

import collections

from collector_plugin.caps import SpanCaps
from collector_plugin.clocks import ClockSource
from collector_plugin.exchanges import ExchangeTable, Offer
from collector_plugin.hop_durations import MAX_LABEL, HopDurations
from collector_plugin.hop_templates import UNDERLAY
from collector_plugin.inject import inject_hops, inject_summary
from collector_plugin.join_settings import JoinSettings
from collector_plugin.messages import PARENT_KEY_BYTES
from collector_plugin.network_span import Detail, Emission, NetworkSpan
from collector_plugin.parents import ParentStore
from collector_plugin.placement import lies_inside
from collector_plugin.ready_hops import Hop
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
        network_ns = 0
        for hop in offer.hops:
            template, stop_ns = hop.template, hop.stop_ns
            duration_ns = stop_ns - hop.start_ns
            network_ns += duration_ns
            name, node = template.name, template.node
            other = message.name_other_node(node) if name == UNDERLAY else node
            observe((name, direction, node, other, service), (duration_ns, stop_ns, trace_id), now_ns)
        message.network_ns += network_ns

    def _make_spans(self, offer: Offer, now_ns: int) -> None:
        hops = offer.hops
        if hops and hops[0].account.clock is ClockSource.EPOCH:
            # The far half alone: none of its hops is on the parent's clock.
            inside = [hop for hop in hops if lies_inside(hop.start_ns, hop.stop_ns, offer.parent)]
            self.dropped[HopReason.CLOCK] += len(hops) - len(inside)
            hops = inside
        if self._settings.detail is Detail.SUMMARY:
            spans = self._make_summary(hops, offer, now_ns)
        else:
            spans = self._make_hop_spans(hops, offer, now_ns)
        if spans:
            self._ready.append(Emission(offer.parent.resource, tuple(spans)))

    def _make_hop_spans(self, hops: list[Hop], offer: Offer, now_ns: int) -> list[NetworkSpan]:
        least_ns = self._settings.min_duration_ns
        if least_ns:
            kept = [hop for hop in hops if hop.duration_ns >= least_ns]
            self.dropped[HopReason.MIN_DURATION] += len(hops) - len(kept)
            hops = kept
        if not hops:
            return []
        admitted, reason = self._caps.admit(_name_owner(offer), len(hops), now_ns)
        self.dropped[reason] += len(hops) - admitted
        spans = inject_hops(hops[:admitted], offer.message, offer.parent, offer.attempt)
        new = self._take_new(spans)
        self.dropped[HopReason.ID_TAKEN] += len(spans) - len(new)
        return new

    def _make_summary(self, hops: list[Hop], offer: Offer, now_ns: int) -> list[NetworkSpan]:
        if not hops:
            return []
        if hops[-1].stop_ns - hops[0].start_ns < self._settings.min_duration_ns:
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
        is_taken, emitted = self._parents.has, self.emitted
        new = [span for span in spans if not is_taken(span.trace_id + span.span_id)]
        for span in new:
            emitted[span.name] += 1
        return new


def _name_owner(offer: Offer) -> bytes:
    """Return trace id and span id of the parent, as the application has them."""
    return offer.parent.trace_id + offer.message.parent_key[TRACE_ID_BYTES:]
