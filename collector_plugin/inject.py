"""Makes hops into network spans: one for each, or one for all hops of a message.

Pure. The same hops always give the same span, so that a batch sent twice is one span to a backend.
"""

from collector_plugin.describe import (
    describe_duration,
    describe_oddities,
    describe_points,
    describe_way,
)
from collector_plugin.messages import PARENT_KEY_BYTES, Message
from collector_plugin.network_span import NetworkSpan, SpanEvent
from collector_plugin.parents import Parent
from collector_plugin.placement import GAP_NS, MIN_GAPPED_NS, find_room, place_hop
from collector_plugin.ready_hops import Hop
from node_probe.transit import TRACE_ID_BYTES, Direction, derive_id

SUMMARY_NAME = "network"
"""Name of a span that stands for all hops of a message."""

_ID_PREFIX = b"hop"


def inject_hops(hops: list[Hop], message: Message, parent: Parent, attempt: int) -> list[NetworkSpan]:
    """Return a span for each hop of the message, under `parent`; `attempt` counts its sendings from 1."""
    trace_id, parent_id = parent.trace_id, message.key[TRACE_ID_BYTES:PARENT_KEY_BYTES]
    id_prefix = _ID_PREFIX + message.key
    first_ns, last_ns = find_room(parent)
    spans = []
    for hop in hops:
        template, account = hop.template, hop.account
        hop_start_ns, hop_stop_ns = hop.start_ns, hop.stop_ns
        groups = (template.way, template.device, account.addresses, *template.tunnel)
        if first_ns <= hop_start_ns <= hop_stop_ns - MIN_GAPPED_NS and hop_stop_ns <= last_ns:
            start_ns, end_ns, is_clipped = hop_start_ns, hop_stop_ns - GAP_NS, False
        else:
            place = place_hop(hop_start_ns, hop_stop_ns, parent)
            start_ns, end_ns, is_clipped = place.start_ns, place.end_ns, place.is_clipped
        if attempt > 1 or is_clipped or template.missed:
            groups += (describe_oddities(attempt, template.missed, is_clipped=is_clipped),)
        spans.append(
            NetworkSpan(
                trace_id,
                parent_id,
                derive_id(id_prefix + template.points),
                account.flags,
                template.name,
                start_ns,
                end_ns,
                hop_stop_ns - hop_start_ns,
                groups + account.clock_groups,
            )
        )
    return spans


def inject_summary(hops: list[Hop], message: Message, parent: Parent, attempt: int) -> NetworkSpan:
    """Return the span that shows `hops`, one or more of one message in order of time, as its events."""
    first, last = hops[0], hops[-1]
    place = place_hop(first.start_ns, last.stop_ns, parent)
    # The far node saw the address that the message went to; where a Service stands between, the near one did not.
    told = next((hop.account for hop in hops if hop.account.clock is not None), first.account)
    start, stop = first.template.start, last.template.stop
    return NetworkSpan(
        parent.trace_id,
        message.key[TRACE_ID_BYTES:PARENT_KEY_BYTES],
        derive_id(_ID_PREFIX + message.key + bytes((start, stop))),
        first.account.flags,
        SUMMARY_NAME,
        place.start_ns,
        place.end_ns,
        last.stop_ns - first.start_ns,
        (
            describe_way(Direction(message.key[PARENT_KEY_BYTES]), start, stop),
            told.addresses,
            describe_oddities(attempt, (), is_clipped=place.is_clipped),
            *told.clock_groups,
        ),
        tuple(_make_event(hop, parent) for hop in hops),
    )


def _make_event(hop: Hop, parent: Parent) -> SpanEvent:
    template = hop.template
    groups = (
        describe_points(template.start, template.stop),
        describe_duration(hop.duration_ns),
        template.device,
        *template.tunnel,
        describe_oddities(1, template.missed, is_clipped=False),
    )
    return SpanEvent(template.name, place_hop(hop.start_ns, hop.stop_ns, parent).start_ns, groups)
