"""The metrics of flows: what is kept, what was claimed, and how many plugins are asked. Pure.

They are there, and 0, where flows are not asked for: a dashboard then shows that, and no hole.
"""

from collections.abc import Iterator, Mapping
from typing import Protocol

from hopspan.metrics import Metric, count_by, gauge
from node_probe.counters import ClaimOutcome, KeptEnd
from node_probe.flow_keeper import FlowKeeper


class Streams(Protocol):
    """The streams of claims, as far as metrics tell of them."""

    @property
    def wanted(self) -> int:
        """Return how many plugins are asked."""

    @property
    def connected(self) -> int:
        """Return how many of them have answered."""


def read_flow_metrics(flows: FlowKeeper | None, streams: Streams | None) -> Iterator[Metric]:
    """Yield the metrics as they are now."""
    outcomes = flows.outcomes.read() if flows is not None else dict.fromkeys(ClaimOutcome, 0)
    ends = flows.ends.read() if flows is not None else dict.fromkeys(KeptEnd, 0)
    claims = [(outcome.value, count) for outcome, count in outcomes.items()]
    yield count_by("hopspan_probe_flow_claims", "Claims on flows that are done with, by outcome", "outcome", claims)
    released = [(end.value, count) for end, count in ends.items()]
    yield count_by("hopspan_probe_flow_transits_released", "Transits kept no more, by reason", "reason", released)
    kept = flows.kept if flows is not None else None
    yield gauge("hopspan_probe_flow_transits", "Transits kept until a span claims them", kept.count if kept else 0)
    yield gauge("hopspan_probe_flow_bytes", "Bytes that they take", kept.held_bytes if kept else 0)
    directions = kept.direction_count if kept else 0
    yield gauge("hopspan_probe_flow_directions", "Directions of TLS connections that they belong to", directions)
    yield gauge("hopspan_probe_flow_plugins", "Plugins that are asked for claims", streams.wanted if streams else 0)
    connected = streams.connected if streams else 0
    yield gauge("hopspan_probe_flow_plugins_connected", "Plugins that have answered", connected)


def list_flow_counts(flows: FlowKeeper) -> Mapping[str, int]:
    """Return the counts as they go to the log's last line."""
    claims = {f"claims_{outcome.value}": count for outcome, count in flows.outcomes.read().items()}
    return claims | {end.value: count for end, count in flows.ends.read().items()}
