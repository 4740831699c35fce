"""What the plugin tells of itself: its counts as metrics, and as the fields of its last log line.

Reads counts and counts nothing. docs and dashboards rely on the names; each begins with `hopspan_plugin_`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from collector_plugin.join import Join
from collector_plugin.outcomes import ReceiveOutcome, SendOutcome
from collector_plugin.pipeline import Pipeline
from hopspan.counters import Counters
from hopspan.metrics import Metric, MetricKind, count, count_by, gauge

APPLICATION, NETWORK = "application", "network"


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
        read_answers: Callable[[], Mapping[str, int]],
    ) -> None:
        """`read_answers` gives the receiver's answers by status."""
        self._join = join
        self._pipeline = pipeline
        self._outlets = outlets
        self._read_answers = read_answers

    def read_metrics(self) -> list[Metric]:
        """Return all metrics of this moment."""
        with self._pipeline.lock:
            join = list(self._read_join())
        return [*self._read_receiver(), *join, *self._read_outlets()]

    def read_fields(self) -> dict[str, int]:
        """Return every count that is not 0, keyed as `name` or `name{label,...}` without the common prefix."""
        fields: dict[str, int] = {}
        for metric in self.read_metrics():
            for labels, value in metric.samples:
                if metric.kind is MetricKind.COUNTER and value:
                    suffix = f"{{{','.join(labels.values())}}}" if labels else ""
                    fields[metric.name.removeprefix("hopspan_plugin_") + suffix] = int(value)
        return fields

    def _read_receiver(self) -> Iterator[Metric]:
        answers = [(code, number) for code, number in self._read_answers().items() if number or code == "OK"]
        yield count_by("hopspan_plugin_receiver_requests", "Requests answered, by gRPC status.", "status", answers)
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
        yield gauge("hopspan_plugin_waiting_transits", "Transits that wait.", join.messages.waiting_count)
        yield gauge(
            "hopspan_plugin_remembered_messages", "Emitted messages remembered.", join.messages.remembered_count
        )
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


def _label(counts: Mapping[Any, int]) -> Iterable[tuple[str, float]]:
    return [(str(key), number) for key, number in counts.items()]
