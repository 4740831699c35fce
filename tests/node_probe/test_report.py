"""The probe's metrics page: what each number is read from."""

import math
from types import SimpleNamespace
from typing import Any

import pytest

from hopspan.counters import Counters
from hopspan.hop_bounds import BOUNDS_NS
from hopspan.metrics import Bucket, Histogram, Metric
from node_probe import report
from node_probe.counters import Event, KernelCounter, Reason
from node_probe.devices import Attachment
from node_probe.hop_histograms import HopHistograms
from node_probe.programs import PROGRAMS, RING_BYTES
from node_probe.report import read_metrics
from tests.node_probe.records import TRACEPARENT, make_context, make_record

ATTACHED = frozenset(
    {
        Attachment(2, "veth_ingress"),
        Attachment(3, "veth_ingress_first"),
        Attachment(3, "veth_egress_last"),
        Attachment(2, "pod_egress", namespace=1, host_ifindex=2),
        Attachment(7, "nic_egress"),
    }
)


HISTOGRAM = "hopspan_probe_hop_duration_seconds"


def read_all(
    attached: frozenset[Attachment] = ATTACHED, hops: HopHistograms | None = None
) -> dict[str, Metric | Histogram]:
    """Return all metrics of an agent whose kernel counters are 100 and their index, by name."""
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
        hops=hops or HopHistograms(),
        ring_fill_bytes=lambda: 4096,
    )
    return {metric.name: metric for metric in read_metrics(agent)}


def read_page(attached: frozenset[Attachment] = ATTACHED) -> dict[str, Metric]:
    """Return those that are numbers."""
    return {name: metric for name, metric in read_all(attached).items() if isinstance(metric, Metric)}


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


def test_what_was_seen_of_tls_is_no_reason() -> None:
    """Bursts and what follows in them are no messages that are left untraced; those that are not known are."""
    page = read_page()
    assert [count for _, count in page["hopspan_probe_flow_seen"].samples] == [125, 126]
    reasons = {labels["reason"] for labels, _ in page["hopspan_probe_messages_untraced"].samples}
    assert {reason for reason in reasons if "flow" in reason} == {"flow_unknown"}
    lost = {labels["reason"]: count for labels, count in page["hopspan_probe_transits_dropped"].samples}
    assert lost["flow_map_full"] == 128


def test_what_was_seen_of_http2_is_no_reason() -> None:
    """What says nothing of whether a transit was started stands apart from the reasons why none was."""
    page = read_page()
    seen = {labels["kind"] for labels, _ in page["hopspan_probe_http2_seen"].samples}
    reasons = {labels["reason"] for labels, _ in page["hopspan_probe_messages_untraced"].samples}
    assert seen == {"http2_requests", "http2_continued", "http2_uncertain", "http2_reset"}
    assert {reason for reason in reasons if reason.startswith("http2_")} == {
        "http2_indexed",
        "http2_ambiguous",
        "http2_malformed",
        "http2_too_many",
    }


def test_hops_are_a_histogram_in_seconds() -> None:
    """Counts add up over the buckets, the last is all; an example has its trace, or none where it is not valid."""
    hops = HopHistograms()
    hops.observe([make_record(seen=0b11, monotonic_ns=[0, time_ns, *[0] * 6]) for time_ns in (600, 700, 3000)], 10**9)
    hops.observe([make_record(make_context(b"00-?"), seen=0b11, monotonic_ns=[0, 2 * 10**9, *[0] * 6])], 10**9)
    metric = read_all(hops=hops)[HISTOGRAM]
    assert isinstance(metric, Histogram)
    ((labels, buckets, total),) = metric.samples
    assert labels == {"hop": "veth-hop", "direction": "request"}
    assert [bucket.bound for bucket in buckets] == [bound / 1e9 for bound in BOUNDS_NS] + [math.inf]
    assert [bucket.count for bucket in buckets] == [0, 2, 2, *[3] * (len(BOUNDS_NS) - 3), 4]
    assert total == pytest.approx(2 + 4.3e-6)
    assert buckets[3] == Bucket(5e-6, 3, bytes.fromhex(TRACEPARENT[3:35].decode()), 3e-6, 1.000003)
    assert buckets[-1].trace_id is None


def test_hop_that_was_never_measured_is_not_there() -> None:
    """The metric is there from the start, without samples."""
    assert read_all()[HISTOGRAM].samples == ()
