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
from collector_plugin.parent import Parent
from collector_plugin.placement import GAP_NS, MIN_GAPPED_NS, find_room, place_hop
from collector_plugin.ready_hops import Hop
from node_probe.transit import TRACE_ID_BYTES, Direction, derive_id, derive_ids

SUMMARY_NAME = "network"
"""Name of a span that stands for all hops of a message."""

_ID_PREFIX = b"hop"


def inject_hops(hops: list[Hop], message: Message, parent: Parent, attempt: int) -> list[NetworkSpan]:
    """Return a span for each hop of the message, under `parent`; `attempt` counts its sendings from 1."""
    trace_id, parent_id = parent.trace_id, message.key[TRACE_ID_BYTES:PARENT_KEY_BYTES]
    ids = derive_ids(_ID_PREFIX + message.key, [template.points for _, _, template, _ in hops])
    first_ns, last_ns = find_room(parent)
    is_again = attempt > 1
    spans = []
    for (start_ns, stop_ns, template, account), span_id in zip(hops, ids, strict=True):
        if first_ns <= start_ns <= stop_ns - MIN_GAPPED_NS and stop_ns <= last_ns:
            begin_ns, end_ns, is_clipped = start_ns, stop_ns - GAP_NS, False
        else:
            place = place_hop(start_ns, stop_ns, parent)
            begin_ns, end_ns, is_clipped = place.start_ns, place.end_ns, place.is_clipped
        tail = template.tail
        if is_clipped or is_again:
            tail = (*template.tunnel, describe_oddities(attempt, template.missed, is_clipped=is_clipped))
        spans.append(
            NetworkSpan(
                trace_id,
                parent_id,
                span_id,
                account.flags,
                template.name,
                begin_ns,
                end_ns,
                stop_ns - start_ns,
                template.place + account.addresses + tail + account.clock_groups,
            )
        )
    return spans


def inject_summary(hops: list[Hop], message: Message, parent: Parent, attempt: int) -> NetworkSpan:
    """Return the span that shows `hops`, one or more of one message in order of time, as its events."""
    first_ns, _, first, near = hops[0]
    _, last_ns, last, _ = hops[-1]
    place = place_hop(first_ns, last_ns, parent)
    # The far node saw the address that the message went to; where a Service stands between, the near one did not.
    told = next((account for *_, account in hops if account.clock is not None), near)
    start, stop = first.start, last.stop
    return NetworkSpan(
        parent.trace_id,
        message.key[TRACE_ID_BYTES:PARENT_KEY_BYTES],
        derive_id(_ID_PREFIX + message.key + bytes((start, stop))),
        near.flags,
        SUMMARY_NAME,
        place.start_ns,
        place.end_ns,
        last_ns - first_ns,
        (
            describe_way(Direction(message.key[PARENT_KEY_BYTES]), start, stop),
            *told.addresses,
            describe_oddities(attempt, (), is_clipped=place.is_clipped),
            *told.clock_groups,
        ),
        tuple(_make_event(hop, parent) for hop in hops),
    )


def _make_event(hop: Hop, parent: Parent) -> SpanEvent:
    start_ns, stop_ns, template, _ = hop
    _, device = template.place
    groups = (
        describe_points(template.start, template.stop),
        describe_duration(stop_ns - start_ns),
        device,
        *template.tunnel,
        describe_oddities(1, template.missed, is_clipped=False),
    )
    return SpanEvent(template.name, place_hop(start_ns, stop_ns, parent).start_ns, groups)
