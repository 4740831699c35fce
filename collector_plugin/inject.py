"""Makes hops into network spans: one for each, or one for all hops of a message.

Pure. The same hops always give the same span, so that a batch sent twice is one span to a backend.
"""

from collector_plugin.describe import (
    describe_addresses,
    describe_clock,
    describe_duration,
    describe_node,
    describe_oddities,
    describe_points,
    describe_tunnel,
    describe_way,
)
from collector_plugin.messages import Message
from collector_plugin.network_span import NetworkSpan, SpanEvent
from collector_plugin.parents import Parent
from collector_plugin.placement import place_hop
from collector_plugin.ready_hops import ReadyHop
from node_probe.transit import SPAN_ID_BYTES, Point, derive_id

SUMMARY_NAME = "network"
"""Name of a span that stands for all hops of a message."""

_ID_PREFIX = b"hop"


def inject_hop(ready: ReadyHop, message: Message, parent: Parent, attempt: int) -> NetworkSpan:
    """Return the span that shows the hop under `parent`; `attempt` counts the sendings of the message from 1."""
    hop, seen = ready.hop, ready.seen
    start, stop, offset_ns = hop.start, hop.stop, ready.epoch_offset_ns
    place = place_hop(start.monotonic_ns + offset_ns, stop.monotonic_ns + offset_ns, parent)
    groups = [
        describe_way(seen.direction, start.point, stop.point),
        describe_duration(stop.monotonic_ns - start.monotonic_ns),
        describe_node(ready),
        describe_addresses(seen),
    ]
    if hop.is_tunnelled:
        groups.append(describe_tunnel(ready.half.transit))
    if attempt > 1 or place.is_clipped or hop.missed:
        groups.append(describe_oddities(attempt, hop.missed, is_clipped=place.is_clipped))
    if ready.clock is not None:
        groups.append(describe_clock(ready))
    return NetworkSpan(
        parent.trace_id,
        message.parent_key[-SPAN_ID_BYTES:],
        _derive_id(message, start.point, stop.point),
        seen.context.flags & 0xFF,
        hop.name,
        place.start_ns,
        place.end_ns,
        tuple(groups),
    )


def inject_summary(hops: list[ReadyHop], message: Message, parent: Parent, attempt: int) -> NetworkSpan:
    """Return the span that shows `hops`, one or more of one message in order of time, as its events."""
    first, last = hops[0], hops[-1]
    place = place_hop(first.from_epoch_ns, last.to_epoch_ns, parent)
    # The far node saw the address that the message went to; where a Service stands between, the near one did not.
    told = next((item for item in hops if item.clock is not None), first)
    start, stop = first.hop.start.point, last.hop.stop.point
    groups = (
        describe_way(first.seen.direction, start, stop),
        describe_duration(last.to_epoch_ns - first.from_epoch_ns),
        describe_addresses(told.seen),
        describe_oddities(attempt, (), is_clipped=place.is_clipped),
        describe_clock(told),
    )
    return NetworkSpan(
        parent.trace_id,
        message.parent_key[-SPAN_ID_BYTES:],
        _derive_id(message, start, stop),
        first.seen.context.flags & 0xFF,
        SUMMARY_NAME,
        place.start_ns,
        place.end_ns,
        groups,
        tuple(_make_event(item, parent) for item in hops),
    )


def _make_event(ready: ReadyHop, parent: Parent) -> SpanEvent:
    hop = ready.hop
    groups = [
        describe_points(hop.start.point, hop.stop.point),
        describe_duration(hop.duration_ns),
        describe_node(ready),
    ]
    if hop.is_tunnelled:
        groups.append(describe_tunnel(ready.half.transit))
    groups.append(describe_oddities(1, hop.missed, is_clipped=False))
    place = place_hop(ready.from_epoch_ns, ready.to_epoch_ns, parent)
    return SpanEvent(hop.name, place.start_ns, tuple(groups))


def _derive_id(message: Message, start: Point, stop: Point) -> bytes:
    return derive_id(_ID_PREFIX + message.key + bytes((start, stop)))
