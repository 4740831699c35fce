"""What the plugin tells of itself: its counts as metrics, and as the fields of its last log line.

Reads counts and counts nothing. docs and dashboards rely on the names; each begins with `hopspan_plugin_`.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Any

import msgspec

from collector_plugin.attempts import Attempts
from collector_plugin.hop_durations import LABELS, Example, Series, SeriesKey
from collector_plugin.join import Join
from collector_plugin.outcomes import ReceiveOutcome, SendOutcome
from collector_plugin.pipeline import Pipeline
from hopspan.counters import Counters
from hopspan.hop_bounds import BOUNDS_NS, NS_PER_S
from hopspan.metrics import Bucket, Histogram, Metric, MetricKind, count, count_by, gauge, gauge_by

APPLICATION, NETWORK = "application", "network"

_BOUNDS_S = [*(bound_ns / NS_PER_S for bound_ns in BOUNDS_NS), math.inf]


class Outlet(msgspec.Struct, frozen=True):
    """One way out: an exporter, and the kind of spans that go there."""

    exporter: str
    kind: str
    """`application` or `network`."""
    outcomes: Counters[SendOutcome]
    read_queue_bytes: Callable[[], int]

    @property
    def labels(self) -> dict[str, str]:
        """Return the labels of the outlet's samples."""
        return {"exporter": self.exporter, "spans": self.kind}


class Report:
    """All the counts of a plugin."""

    def __init__(
        self,
        join: Join,
        pipeline: Pipeline,
        outlets: tuple[Outlet, ...],
        read_others: Callable[[], Iterable[Metric]],
    ) -> None:
        """`read_others` gives the metrics of what else there is, such as the receivers."""
        self._join = join
        self._pipeline = pipeline
        self._outlets = outlets
        self._read_others = read_others

    def read_metrics(self) -> list[Metric | Histogram]:
        """Return all metrics of this moment."""
        with self._pipeline.lock:
            self._pipeline.take_in_arrivals()
            join = list(self._read_join())
            durations = self._join.durations.read()
        return [*self._read_intake(), *join, *self._read_outlets(), _build_histogram(durations)]

    def read_fields(self) -> dict[str, int]:
        """Return every count that is not 0, keyed as `name` or `name{label,...}` without the common prefix."""
        fields: dict[str, int] = {}
        for metric in self.read_metrics():
            if not isinstance(metric, Metric) or metric.kind is not MetricKind.COUNTER:
                continue
            for labels, value in metric.samples:
                if value:
                    suffix = f"{{{','.join(labels.values())}}}" if labels else ""
                    fields[metric.name.removeprefix("hopspan_plugin_") + suffix] = int(value)
        return fields

    def _read_intake(self) -> Iterator[Metric]:
        yield from self._read_others()
        spans = self._pipeline.outcomes.read()
        yield count(
            "hopspan_plugin_receiver_accepted_spans",
            "Application spans whose client was told of success.",
            spans[ReceiveOutcome.ACCEPTED],
        )
        yield count(
            "hopspan_plugin_receiver_refused_spans",
            "Application spans whose client was told of failure.",
            spans[ReceiveOutcome.REFUSED],
        )

    def _read_join(self) -> Iterator[Metric]:
        yield from self._read_transits()
        yield from self._read_clocks()

    def _read_clocks(self) -> Iterator[Metric]:
        clocks = self._join.clocks
        bounded, one_way = clocks.count_pairs()
        yield gauge_by(
            "hopspan_plugin_clock_pairs",
            "Pairs of nodes with two clocks, by whether messages of both directions bound them.",
            "state",
            {"bounded": bounded, "one_way": one_way},
        )
        yield gauge(
            "hopspan_plugin_clock_uncertainty_seconds",
            "The largest uncertainty of the last one to two minutes.",
            clocks.worst_uncertainty_ns / 10**9,
        )
        yield gauge(
            "hopspan_plugin_clock_held_messages", "Messages that wait for a relation of clocks.", len(self._join.held)
        )
        yield count_by(
            "hopspan_plugin_clock_contradictions",
            "Times that what was known of a pair proved impossible, by reason.",
            "reason",
            _label(clocks.contradictions),
        )

    def _read_transits(self) -> Iterator[Metric]:
        join = self._join
        yield count("hopspan_plugin_received_transits", "Transits received.", join.received)
        yield count(
            "hopspan_plugin_joined_transits", "Transits whose parent was found and hops were used.", join.joined
        )
        yield count_by(
            "hopspan_plugin_released_transits",
            "Transits released unused, by reason.",
            "reason",
            _label(join.released),
        )
        yield gauge("hopspan_plugin_waiting_transits", "Transits that wait.", join.waiting_count)
        waiting_bytes = join.waiting.size_bytes + join.messages.waiting_bytes
        yield gauge("hopspan_plugin_waiting_bytes", "Memory of those, estimated.", waiting_bytes)
        yield gauge(
            "hopspan_plugin_remembered_messages", "Emitted messages remembered.", join.messages.remembered_count
        )
        yield _build_attempts(join.messages.attempts)
        yield count_by(
            "hopspan_plugin_network_spans", "Network spans made, by hop.", "hop", sorted(join.emitted.items())
        )
        yield count_by(
            "hopspan_plugin_dropped_hops", "Hops that became no span, by reason.", "reason", _label(join.dropped)
        )
        yield gauge("hopspan_plugin_parents", "Application spans remembered as parents.", join.parents.count)
        yield gauge("hopspan_plugin_parents_bytes", "Memory of those, estimated.", join.parents.size_bytes)
        yield count_by(
            "hopspan_plugin_forgotten",
            "Things remembered and given up early, by reason.",
            "reason",
            _label(join.forgotten),
        )

    def _read_outlets(self) -> Iterator[Metric]:
        sent: list[tuple[dict[str, str], float]] = []
        failed: list[tuple[dict[str, str], float]] = []
        for outlet in self._outlets:
            for outcome, number in outlet.outcomes.read().items():
                if outcome is SendOutcome.SENT:
                    sent.append((outlet.labels, number))
                else:
                    failed.append(({**outlet.labels, "reason": outcome.value}, number))
        queued = tuple((outlet.labels, outlet.read_queue_bytes()) for outlet in self._outlets)
        name = "hopspan_plugin_exporter_"
        yield Metric(f"{name}sent_spans", MetricKind.COUNTER, "Spans that a peer took.", tuple(sent))
        yield Metric(f"{name}send_failed_spans", MetricKind.COUNTER, "Spans not sent, by reason.", tuple(failed))
        yield Metric(f"{name}queue_bytes", MetricKind.GAUGE, "Requests that wait for the exporter.", queued)


def _build_attempts(attempts: Attempts) -> Metric:
    samples = tuple(
        ({"direction": direction.label, "node": node, "attempt": label}, number)
        for direction, node, *numbers in attempts.read()
        for label, number in zip(("first", "again"), numbers, strict=True)
    )
    name, text = "hopspan_plugin_attempts", "Sendings of messages, by direction, sending node and attempt."
    return Metric(name, MetricKind.COUNTER, text, samples)


def _build_histogram(durations: list[tuple[SeriesKey, Series]]) -> Histogram:
    samples = tuple(
        (dict(zip(LABELS, key, strict=True)), _build_buckets(series), series.sum_ns / NS_PER_S)
        for key, series in sorted(durations, key=itemgetter(0))
    )
    return Histogram("hopspan_plugin_hop_duration_seconds", "Durations of the hops of joined transits.", samples)


def _build_buckets(series: Series) -> tuple[Bucket, ...]:
    totals = itertools.accumulate(series.counts)
    return tuple(map(_build_bucket, _BOUNDS_S, totals, series.examples))


def _build_bucket(bound_s: float, total: int, example: Example | None) -> Bucket:
    if example is None:
        return Bucket(bound_s, total)
    duration_ns, epoch_ns, trace_id = example
    return Bucket(bound_s, total, trace_id, duration_ns / NS_PER_S, epoch_ns / NS_PER_S)


def _label(counts: Mapping[Any, int]) -> Iterable[tuple[str, float]]:
    return [(str(key), number) for key, number in counts.items()]
