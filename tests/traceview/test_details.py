"""What opens below a row."""

import runpy
from pathlib import Path

from traceview.details import list_details
from traceview.otlp_json import read_spans
from traceview.span import Span, SpanKind

CHECKOUT = runpy.run_path(str(Path(__file__).with_name("make_checkout.py")))
SPANS = read_spans(line.encode() for line in CHECKOUT["build_lines"](1))


def make_hop(**attributes: str | int) -> dict[str, str]:
    found = {key.replace("__", "."): value for key, value in attributes.items()}
    hop = Span(b"t" * 16, b"h" * 8, b"p" * 8, "underlay", SpanKind.INTERNAL, 1, 2, "hopspan", attributes=found)
    return dict(list_details(hop, 0, "us"))


def test_details_of_a_wire_hop() -> None:
    """A hop tells its points, its addresses, its tunnel and its clock."""
    wire = next(span for span in SPANS if span.name == "underlay")
    details = dict(list_details(wire, CHECKOUT["EPOCH_NS"], "us"))
    assert details.pop("starts").endswith(" us after the trace began")
    assert details.pop("exact duration") == f"{wire.duration_ns} ns"
    assert details.pop("span id") == wire.span_id.hex()
    assert details == {
        "direction": "request",
        "points": "nic-egress → nic-ingress",
        "interface": "nic0 on node-1",
        "addresses": "10.244.1.11:49152 → 10.244.2.21:8080",
        "tunnel": "vxlan 1",
        "outer addresses": "192.0.2.1 → 192.0.2.2",
        "clock": "measured: far node -81.3 us, within 12.3 us",
    }


def test_details_of_an_application_span() -> None:
    """An application span tells its whole name, its service and its kind."""
    span = next(span for span in SPANS if span.name == "GET cart")
    details = dict(list_details(span, CHECKOUT["EPOCH_NS"], "us"))
    assert (details["name"], details["service"], details["kind"]) == ("GET cart", "frontend", "CLIENT")


def test_special_hops() -> None:
    """Sendings, cuts, points not seen and IPv6 addresses have their words."""
    details = make_hop(
        hopspan__attempt=2,
        hopspan__clipped="true",
        hopspan__missed="nic-egress",
        source__address="fd00::1",
        source__port=80,
        hopspan__clock__source="epoch",
    )
    assert details["sending"] == "2, sent again by TCP"
    assert details["cut"] == "reaches beyond its parent, drawn inside it"
    assert details["not seen"] == "nic-egress"
    assert details["addresses"] == "[fd00::1]:80 → ?"
    assert details["clock"] == "the far node's wall clock"


def test_bare_hop() -> None:
    """What is not known is left out."""
    assert set(make_hop()) == {"direction", "exact duration", "starts", "span id"}
