"""The summary's figures are those of the spans, and its lines fit into 80 cells."""

import runpy
from pathlib import Path

import msgspec

from testbed.demo_summary import pick_typical, render_summary
from traceview.otlp_json import read_spans
from traceview.span import Direction, Span
from traceview.tree import Trace, group_traces

CHECKOUT = runpy.run_path(str(Path(__file__).parents[1] / "traceview" / "make_checkout.py"))
SPANS = read_spans(line.encode() for line in CHECKOUT["build_lines"](23))


def set_durations(spans: list[Span], first_ns: int) -> tuple[Trace, ...]:
    """Return the traces of the spans, whose hops of one kind last 1, 2, 3 ... times `first_ns`."""
    changed = [
        msgspec.structs.replace(span, attributes={**span.attributes, "hopspan.duration_ns": number * first_ns})
        for number, span in enumerate(spans, 1)
    ]
    return group_traces([*(span for span in SPANS if span not in spans), *changed])


def test_p50_and_maximum() -> None:
    """Of 23 values the twelfth is the median, the last the maximum; direction and place tell the columns."""
    wire = [span for span in SPANS if span.name == "underlay" and span.direction == Direction.RESPONSE]
    lines = render_summary(set_durations(wire, 1_000_000), "->")
    (line,) = [line for line in lines if line.startswith("  underlay ")]
    assert line.split()[3:] == ["12000.0", "23000.0"]
    assert float(line.split()[2]) < 1000


def test_lines() -> None:
    """Each hop has its line; those of one name are told apart by the end of the way; nothing is wider than 80."""
    lines = render_summary(group_traces(SPANS), "->")
    assert [line[:32].rstrip() for line in lines if not line.startswith("  both")] == [
        "", "frontend -> cart, 23 times", "",
        "  veth-hop (sender)", "  host-forward (sender)", "  vxlan-encap", "  underlay", "  vxlan-decap",
        "  host-forward (receiver)", "  veth-hop (receiver)", "  all hops",
        "", "frontend -> catalog, 23 times", "",
        "  veth-hop (sender)", "  host-forward", "  veth-hop (receiver)", "  all hops",
    ]  # fmt: skip
    assert max(map(len, lines)) <= 80


def test_incomplete_exchange_is_left_out() -> None:
    """An exchange that lacks a hop would shift the places; it is left out, and counted out."""
    first = next(span for span in SPANS if span.name == "vxlan-encap")
    lines = render_summary(group_traces(span for span in SPANS if span is not first), "->")
    assert lines[1].startswith("frontend -> cart, 22 times ")


def test_no_exchange_no_table() -> None:
    """Without hops there is nothing to sum up."""
    assert render_summary(group_traces(span for span in SPANS if not span.is_network), "->") == []


def test_typical_trace_is_the_median() -> None:
    """Half of the others are shorter, half longer; of an even number it is the lower middle."""
    traces = group_traces(SPANS)
    typical = pick_typical(traces)
    assert sum(trace.duration_ns < typical.duration_ns for trace in traces) == 11
    shortest, second = sorted(traces, key=lambda trace: trace.duration_ns)[:2]
    assert pick_typical([second, shortest]) is shortest
