"""The probe's metrics page: what each number is read from."""

from types import SimpleNamespace
from typing import Any

import pytest

from hopspan.counters import Counters
from hopspan.metrics import Metric
from node_probe import report
from node_probe.counters import Event, KernelCounter, Reason
from node_probe.devices import Attachment
from node_probe.programs import PROGRAMS, RING_BYTES
from node_probe.report import read_metrics

ATTACHED = frozenset(
    {
        Attachment(2, "veth_ingress"),
        Attachment(3, "veth_ingress_first"),
        Attachment(3, "veth_egress_last"),
        Attachment(2, "pod_egress", namespace=1, host_ifindex=2),
        Attachment(7, "nic_egress"),
    }
)


def read_page(attached: frozenset[Attachment] = ATTACHED) -> dict[str, Metric]:
    """Return the metrics of an agent whose kernel counters are 100 and their index, by name."""
    reasons, events = Counters(Reason), Counters(Event)
    tally = SimpleNamespace(
        reasons=reasons,
        events=events,
        read_kernel=lambda: {counter: 100 + counter for counter in KernelCounter},
        read_tables=lambda: {"transits": 3, "exchanges": 500},
    )
    agent: Any = SimpleNamespace(
        tally=tally,
        attacher=SimpleNamespace(attached=attached),
        backlog=range(12),
        governor=SimpleNamespace(kept_ratio=0.5),
        heartbeat=SimpleNamespace(failed_points=3),
        ring_fill_bytes=lambda: 4096,
    )
    return {metric.name: metric for metric in read_metrics(agent)}


def read_value(page: dict[str, Metric], name: str) -> float:
    """Return the value of a metric without labels."""
    (sample,) = page[f"hopspan_probe_{name}"].samples
    assert sample[0] == {}
    return sample[1]


def test_points_are_counted_by_name() -> None:
    """First and last points have programs of their own and the name of the point; where there is none it says 0."""
    page = read_page()
    samples = {labels["point"]: number for labels, number in page["hopspan_probe_points_attached"].samples}
    assert samples == {
        "pod_egress": 1,
        "veth_ingress": 2,
        "overlay_egress": 0,
        "nic_egress": 1,
        "nic_ingress": 0,
        "overlay_ingress": 0,
        "veth_egress": 1,
        "pod_ingress": 0,
    }
    assert sum(samples.values()) == read_value(page, "points") == len(ATTACHED)
    assert read_value(page, "points_failed") == 3


def test_every_program_is_at_a_named_point() -> None:
    """No program that may be attached is missing from the sum."""
    everywhere = frozenset(Attachment(number, program) for number, program in enumerate(PROGRAMS))
    samples = read_page(everywhere)["hopspan_probe_points_attached"].samples
    assert sum(number for _, number in samples) == len(PROGRAMS)
    assert all(number for _, number in samples)


def test_ring_tells_its_size_beside_its_fill() -> None:
    """A dashboard divides one by the other."""
    page = read_page()
    assert (read_value(page, "ring_fill_bytes"), read_value(page, "ring_size_bytes")) == (4096, RING_BYTES)


def test_each_kernel_counter_is_shown_once() -> None:
    """As a metric of its own, or as one label."""
    values = [number for metric in read_page().values() for _, number in metric.samples]
    for counter in KernelCounter:
        assert values.count(100 + counter) == 1, counter


def test_contexts_are_counted_by_format(monkeypatch: pytest.MonkeyPatch) -> None:
    """A counter of the programs for a format becomes a label, and no reason for a message that is not traced."""
    monkeypatch.setattr(report, "_CONTEXT_PREFIX", "request_")
    monkeypatch.setattr(report, "_CONTEXTS", (KernelCounter.REQUEST_PIPELINED,))
    page = read_page()
    formats = {labels["format"]: number for labels, number in page["hopspan_probe_contexts"].samples}
    assert formats == {"pipelined": 100 + KernelCounter.REQUEST_PIPELINED}
    labels = {labels["reason"] for labels, _ in page["hopspan_probe_messages_untraced"].samples}
    assert "request_pipelined" not in labels
    assert "request_unsampled" in labels
