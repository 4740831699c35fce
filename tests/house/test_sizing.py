"""docs/sizing.md: what is planned lies above what was measured, and the example is what the formulas say."""

import re

import pytest

from collector_plugin import clocks, message_table, parents
from node_probe.span_writer import SpanWriter
from tests.house import sizing
from tests.house.repository import ROOT
from tests.house.sizing import Load
from tests.node_probe.records import make_record

PAGE = (ROOT / "docs" / "sizing.md").read_text()
COST = (ROOT / "docs" / "cost.md").read_text()
JOIN = (ROOT / "docs" / "join.md").read_text()
EXCHANGES_PER_S = 500
MOST_HEADROOM = 2
"""What is planned with more than twice the measured is not a plan."""


def read_figure(page: str, row: str) -> float:
    """Return the first figure in the second column of the row of that title."""
    (cell,) = re.findall(rf"^\| {re.escape(row)} \| ([0-9,.]+)", page, re.MULTILINE)
    return float(cell.replace(",", ""))


def measured_transit_us() -> float:
    """Return what a transit takes in the plugin: the join, and writing its spans, which the text tells."""
    (writing,) = re.findall(r"writing the spans takes another (\d+) us", JOIN)
    return read_figure(JOIN, "a transit, up to its 3.5 spans; its span comes later") + float(writing)


def both_nodes_us() -> tuple[float, float]:
    """Return what all points of both nodes take of an exchange, with 1 % and with all requests sampled."""
    (found,) = re.findall(r"take ([0-9.]+) us\s+of\s+an\s+exchange\s+with 1 % sampled,\s+([0-9.]+) us with all", COST)
    few, all_sampled = found
    return float(few), float(all_sampled)


@pytest.mark.parametrize(
    ("planned", "measured"),
    [
        (sizing.AGENT_US, read_figure(COST, "CPU for each transit, ring to OTLP sent, at 5,000 a second")),
        (sizing.POINTS_US, both_nodes_us()[0] / 2),
        (sizing.SAMPLED_POINTS_US, both_nodes_us()[1] / 2),
        (sizing.SPAN_US, 1e6 / read_figure(COST, "OTLP/gRPC, answered when delivered")),
        (sizing.TRANSIT_US, measured_transit_us()),
        (sizing.PLUGIN_MIB, read_figure(COST, "memory at saturation, the most of all cases")),
        (sizing.WAITING_BYTES, read_figure(JOIN, "a transit that waits")),
        (sizing.PARENT_BYTES, read_figure(JOIN, "an application span")),
    ],
)
def test_plan_lies_above_what_was_measured(planned: float, measured: float) -> None:
    """And not far above it."""
    assert measured <= planned <= measured * MOST_HEADROOM


def test_a_transit_takes_no_more_on_the_way() -> None:
    """Of four stamps, with its share of the request around a batch left out."""
    batch = SpanWriter("node-1").write([make_record(seen=0b1111)], 0).batch
    assert batch is not None
    assert sizing.WIRE_BYTES / MOST_HEADROOM <= len(batch.spans) <= sizing.WIRE_BYTES


@pytest.mark.parametrize(
    "text",
    [
        f"| {sizing.POINTS_US:g} us |",
        f"| {sizing.SAMPLED_POINTS_US:g} us |",
        f"| {sizing.AGENT_US:g} us |",
        f"| {sizing.WIRE_BYTES} bytes |",
        f"| {sizing.SPAN_US:g} us |",
        f"| {sizing.TRANSIT_US:g} us |",
        f"| {sizing.PARENT_BYTES} bytes |",
        f"| {sizing.WAITING_BYTES} bytes |",
        f"| {sizing.MESSAGE_BYTES} bytes |",
        f"| {sizing.PLUGIN_MIB} MiB |",
        f"**Parents**: {parents.MAX_BYTES >> 20} MiB",
        f"**Shown messages**: {message_table.MAX_REMEMBERED:,}",
        f"**Pairs of nodes**: {clocks.MAX_PAIRS}",
        f"{sizing.FULL:.0%}".replace("%", " %"),
    ],
)
def test_page_has_the_plan(text: str) -> None:
    """Each figure of the formulas stands in the page."""
    assert text in PAGE


def test_example_is_what_the_formulas_say() -> None:
    """Every row of the example."""
    rows = re.findall(r"^\| (10+) \| (\d+) % \| (.+) \|$", PAGE, re.MULTILINE)
    assert len(rows) > 5
    for nodes, percent, figures in rows:
        load = Load(int(nodes), EXCHANGES_PER_S, int(percent) / 100)
        expected = [
            f"{load.node_transits_per_s:.0f}",
            f"{load.agent_cores:.4f}",
            f"{load.point_cores:.4f}",
            f"{load.wire_kib_per_s:.0f}",
            f"{load.plugin_cores:.2f}",
            f"{load.plugins}",
            f"{load.plugin_mib:.0f}",
            f"{load.network_spans_per_s:.0f}",
        ]
        assert figures.split(" | ") == expected
