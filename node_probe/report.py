"""The probe's own metrics and its health: counters and states under the names that users see.

Pure. Names follow the Collector's nouns and the OpenMetrics rules; README says what a healthy value is.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from hopspan.health import Health
from hopspan.hop_bounds import BOUNDS_NS, NS_PER_S
from hopspan.metrics import Bucket, Histogram, Metric, count, count_by, gauge, gauge_by
from node_probe.agent import Agent
from node_probe.counters import Event, KernelCounter, Reason
from node_probe.devices import Attachment
from node_probe.health import Pulse, judge_health
from node_probe.hop_histograms import Distribution, Example, HopName
from node_probe.programs import PROGRAMS, RING_BYTES
from node_probe.sender import Sender
from node_probe.tables import TABLES

_LOSSES = (
    KernelCounter.RATE_LIMITED,
    KernelCounter.TRANSIT_MAP_FULL,
    KernelCounter.EXCHANGE_MAP_FULL,
    KernelCounter.RING_FULL,
    KernelCounter.FLOW_MAP_FULL,
)
_FOUND = (
    KernelCounter.TRANSITS_STARTED,
    KernelCounter.TRANSITS_EMITTED,
    KernelCounter.TRANSITS_SWEPT,
    KernelCounter.TLS_SEEN,
)
_HTTP2_SEEN = (
    KernelCounter.HTTP2_REQUESTS,
    KernelCounter.HTTP2_CONTINUED,
    KernelCounter.HTTP2_UNCERTAIN,
    KernelCounter.HTTP2_RESET,
)
"""What says nothing of whether a transit was started; the others of HTTP/2 are reasons why none was."""

_FLOW_SEEN = (KernelCounter.TLS_FLOW, KernelCounter.FLOW_FOLLOWED)

_CONTEXT_PREFIX = "context_"
_CONTEXTS = tuple(c for c in KernelCounter if c.label.startswith(_CONTEXT_PREFIX))
"""One counter for each format that the programs read."""


def read_metrics(agent: Agent) -> Iterator[Metric | Histogram]:
    """Yield all metrics as they are now."""
    kernel = agent.tally.read_kernel()
    events = agent.tally.events.read()
    yield count(
        "hopspan_probe_transits_started", "Packets stamped at a first point", kernel[KernelCounter.TRANSITS_STARTED]
    )
    yield count(
        "hopspan_probe_transits_emitted",
        "Transits handed over by the kernel at their last point",
        kernel[KernelCounter.TRANSITS_EMITTED],
    )
    yield count(
        "hopspan_probe_transits_swept", "Transits that met no last point", kernel[KernelCounter.TRANSITS_SWEPT]
    )
    yield count("hopspan_probe_transits_sent", "Transits delivered", events[Event.TRANSITS_SENT])
    yield count("hopspan_probe_exports_retried", "Requests that had to be sent again", events[Event.EXPORTS_RETRIED])
    yield count(
        "hopspan_probe_tls_segments", "Segments at a first point that look like TLS", kernel[KernelCounter.TLS_SEEN]
    )
    losses = list_losses(kernel, agent.tally.reasons.read())
    yield count_by("hopspan_probe_transits_dropped", "Transits lost, by reason", "reason", losses)
    contexts = [(c.label.removeprefix(_CONTEXT_PREFIX), kernel[c]) for c in _CONTEXTS]
    yield count_by("hopspan_probe_contexts", "Requests with a context that can be read", "format", contexts)
    seen = [(c.label, kernel[c]) for c in _HTTP2_SEEN]
    yield count_by("hopspan_probe_http2_seen", "What was met of HTTP/2 at first points, by kind", "kind", seen)
    seen = [(c.label, kernel[c]) for c in _FLOW_SEEN]
    yield count_by("hopspan_probe_flow_seen", "What was met of TLS at first points, by kind", "kind", seen)
    others = {*_LOSSES, *_FOUND, *_HTTP2_SEEN, *_FLOW_SEEN, *_CONTEXTS}
    untraced = [(c.label, kernel[c]) for c in KernelCounter if c not in others]
    yield count_by(
        "hopspan_probe_messages_untraced", "Messages at a first point that started no transit", "reason", untraced
    )
    yield from _read_points(agent)
    yield gauge("hopspan_probe_backlog_transits", "Transits waiting to be sent", len(agent.backlog))
    yield gauge("hopspan_probe_ring_fill_bytes", "Bytes of records waiting in the ring", agent.ring_fill_bytes())
    yield gauge("hopspan_probe_ring_size_bytes", "Bytes that the ring has room for", RING_BYTES)
    entries = agent.tally.read_tables()
    yield gauge_by("hopspan_probe_map_entries", "Entries of a map of the programs", "map", entries)
    sizes = {name: TABLES[name].size for name in entries}
    yield gauge_by("hopspan_probe_map_size", "Entries that a map has room for", "map", sizes)
    yield gauge(
        "hopspan_probe_records_kept_ratio",
        "Part of the records that the CPU ceiling leaves to be decoded",
        agent.governor.kept_ratio,
    )
    yield Histogram(
        "hopspan_probe_hop_duration_seconds", "Durations of the hops", tuple(_list_hops(agent.hops.read()))
    )


def list_losses(kernel: Mapping[KernelCounter, int], reasons: Mapping[Reason, int]) -> list[tuple[str, int]]:
    """Return how many transits were lost under each reason, the kernel's and the agent's."""
    return [(c.label, kernel[c]) for c in _LOSSES] + [(reason.value, n) for reason, n in reasons.items()]


def _list_hops(
    distributions: Mapping[HopName, Distribution],
) -> Iterator[tuple[dict[str, str], tuple[Bucket, ...], float]]:
    bounds_s = [bound_ns / NS_PER_S for bound_ns in BOUNDS_NS] + [math.inf]
    for (hop, direction), found in sorted(distributions.items()):
        totals = itertools.accumulate(found.counts)
        buckets = tuple(map(_make_bucket, bounds_s, totals, found.examples))
        yield {"hop": hop, "direction": direction}, buckets, found.sum_ns / NS_PER_S


def _make_bucket(bound_s: float, total: int, example: Example | None) -> Bucket:
    if example is None:
        return Bucket(bound_s, total)
    return Bucket(
        bound_s, total, example.read_trace_id(), example.duration_ns / NS_PER_S, example.epoch_ns / NS_PER_S
    )


def _read_points(agent: Agent) -> Iterator[Metric]:
    attached = agent.attacher.attached
    yield gauge("hopspan_probe_points", "Programs attached", len(attached))
    yield gauge_by("hopspan_probe_points_attached", "Programs attached, by point", "point", count_points(attached))
    yield gauge(
        "hopspan_probe_points_failed", "Programs that could not be attached so far", agent.heartbeat.failed_points
    )


def count_points(attached: Iterable[Attachment]) -> dict[str, int]:
    """Return how many programs are attached at each point, also where there is none."""
    numbers = Counter(_name_point(attachment.program) for attachment in attached)
    return {point: numbers[point] for point in dict.fromkeys(map(_name_point, PROGRAMS))}


def _name_point(program: str) -> str:
    # A point where a transit may begin or end has a second program for that.
    return program.removesuffix("_first").removesuffix("_last")


def read_health(agent: Agent, sender: Sender, now_ns: int) -> Health:
    """Return the health of this moment; `now_ns` is CLOCK_MONOTONIC."""
    last_ns = agent.heartbeat.last_ns
    pulse = Pulse(
        ready=last_ns > 0,
        silence_ns=now_ns - last_ns,
        points=len(agent.attacher.attached),
        failed_points=agent.heartbeat.failed_points,
        failed_attempts=sender.failed_attempts,
        refused=sender.refused,
        kept_ratio=agent.governor.kept_ratio,
    )
    return judge_health(pulse)
