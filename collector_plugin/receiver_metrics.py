"""What the receivers tell of themselves, as metrics: answers, what was ended, and the bytes that requests hold.

Reads counts and counts nothing.
"""

from collections.abc import Iterator, Mapping
from typing import Protocol

from collector_plugin.admission import Admission
from hopspan.metrics import Metric, MetricKind, count, gauge

_SUCCESSES = frozenset({"OK", "200", "202"})
"""Told of even where there were none: a rate needs its zero."""


class Counting(Protocol):
    """A receiver, as far as it counts."""

    def count_answers(self) -> dict[str, int]:
        """Return how many requests were answered, by status."""

    def count_ends(self) -> dict[str, int]:
        """Return how many connections or requests were ended by our doing, by the reason."""


def read_receiver_metrics(receivers: Mapping[str, Counting], admission: Admission) -> Iterator[Metric]:
    """Yield the metrics of this moment; `receivers` by the name that their label has."""
    answers = tuple(
        ({"receiver": name, "status": status}, number)
        for name, receiver in receivers.items()
        for status, number in receiver.count_answers().items()
        if number or status in _SUCCESSES
    )
    ends = tuple(
        ({"receiver": name, "reason": reason}, number)
        for name, receiver in receivers.items()
        for reason, number in receiver.count_ends().items()
    )
    text = "Requests answered, by status of gRPC or HTTP."
    yield Metric("hopspan_plugin_receiver_requests", MetricKind.COUNTER, text, answers)
    text = "Connections, over gRPC requests, ended by the receiver, by reason."
    yield Metric("hopspan_plugin_receiver_ended", MetricKind.COUNTER, text, ends)
    yield gauge("hopspan_plugin_receiver_held_bytes", "What requests under way hold.", admission.held_bytes)
    yield count(
        "hopspan_plugin_receiver_no_room",
        "Requests refused since others hold all the bytes that may be held.",
        admission.refused,
    )
