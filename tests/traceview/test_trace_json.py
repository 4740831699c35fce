"""A trace as JSON: the documented fields."""

import json
import runpy
from pathlib import Path

from traceview.otlp_json import read_spans
from traceview.trace_json import describe_trace_json, write_json
from traceview.tree import group_traces

CHECKOUT = runpy.run_path(str(Path(__file__).with_name("make_checkout.py")))
(TRACE,) = group_traces(read_spans(line.encode() for line in CHECKOUT["build_lines"](1)))


def test_trace() -> None:
    """Rows in the order in which they are drawn, each with the row of its parent."""
    found = json.loads(write_json(describe_trace_json(TRACE, ["a span"])))
    assert (found["version"], found["trace_id"], found["hops"]) == (1, TRACE.trace_id.hex(), 20)
    assert found["duration_ns"] == TRACE.duration_ns
    assert found["left_out"] == ["a span"]
    assert len(found["spans"]) == 35
    for row, span in zip(TRACE.rows, found["spans"], strict=True):
        assert span["span_id"] == row.span.span_id.hex()
        assert span["parent_row"] == (row.parent if row.parent >= 0 else None)
        assert (span["hop"] is not None) is row.span.is_network
    assert found["spans"][0]["parent_id"] is None


def test_hop() -> None:
    """What is known of a hop; what is not is null."""
    found = describe_trace_json(TRACE)["spans"]
    (wire,) = [span for span in found if span["name"] == "underlay" and span["hop"]["direction"] == "request"]
    assert wire["hop"] == {
        "direction": "request",
        "from": "nic-egress",
        "to": "nic-ingress",
        "device": "nic0",
        "attempt": 1,
        "clipped": False,
        "missed": None,
        "clock": "measured",
        "clock_offset_ns": -81_250,
        "clock_uncertainty_ns": 12_300,
    }
    assert wire["kind"] == "INTERNAL"


def test_exchanges() -> None:
    """The parts of what a parent waited add up."""
    cart, catalog = describe_trace_json(TRACE)["exchanges"]
    assert (cart["client"], cart["server"], catalog["server"]) == ("frontend", "cart", "catalog")
    for exchange in (cart, catalog):
        parts = exchange["network_ns"] + exchange["server_ns"] + exchange["remainder_ns"]
        assert parts == exchange["duration_ns"]
        assert exchange["network_ns"] == exchange["request_ns"] + exchange["response_ns"]


def test_writing() -> None:
    """One line of printable ASCII, whatever the texts are."""
    text = write_json({"name": "a\x7f\x9b\u202e\ud800\n深"})
    assert text.endswith("}\n")
    assert text.isascii()
    assert text[:-1].isprintable()
    assert json.loads(text) == {"name": "a\x7f\x9b\u202e\ud800\n深"}
