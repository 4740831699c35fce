"""Spans become samples by what is comparable."""

import runpy
from pathlib import Path

import msgspec
import pytest

from traceview import hop_samples
from traceview.hop_samples import HopCollector, HopKey, HopSet
from traceview.otlp_json import read_spans
from traceview.span import AttributeValue, Span, SpanKind

CHECKOUT = runpy.run_path(str(Path(__file__).with_name("make_checkout.py")))
SPANS = read_spans(line.encode() for line in CHECKOUT["build_lines"](3))


def gather(*spans: Span, by_nodes: bool = False) -> HopSet:
    collector = HopCollector()
    collector.add(spans)
    return collector.finish(by_nodes=by_nodes)


def make_hop(number: int, points: tuple[str, str], **attributes: AttributeValue) -> Span:
    held: dict[str, AttributeValue] = {
        "hopspan.direction": "request",
        "hopspan.from": points[0],
        "hopspan.to": points[1],
        "hopspan.duration_ns": 100 * number,
        "hopspan.node": "node-1",
    }
    held |= {f"hopspan.{key.replace('__', '.')}": value for key, value in attributes.items()}
    span_id = number.to_bytes(8, "big")
    return Span(b"t" * 16, span_id, b"p" * 8, "hop", SpanKind.INTERNAL, 5, 6, "hopspan", attributes=held)


def test_checkout() -> None:
    """Each way between two points is one, in each direction; sums stand last, one for each kind of exchange."""
    held = gather(*SPANS)
    assert (held.traces, held.hops, held.describe()) == (3, 60, ())
    keys = sorted(held.samples, key=lambda key: key.order)
    assert [(key.direction, key.name, len(held.samples[key].values)) for key in keys] == [
        *(
            (direction, name, 6 if name == "veth-hop" else 3)
            for direction in ("request", "response")
            for name in (
                "veth-hop",
                "host-forward",
                "host-forward",
                "vxlan-encap",
                "underlay",
                "vxlan-decap",
                "host-forward",
                "veth-hop",
            )
        ),
        ("both", "underlay", 3),
        ("both", "all hops, one node", 3),
        ("both", "all hops, two nodes", 3),
    ]


def test_sums() -> None:
    """The sum of an exchange is that of its hops, both ways."""
    held = gather(*SPANS)
    sums = [key for key in held.samples if key.name == "all hops, two nodes"]
    assert [(key.start, key.end) for key in sums] == [("pod-egress > pod-ingress",) * 2]
    hops = [span for span in SPANS if span.is_network]
    parents = {span.parent_id for span in hops if span.name == "underlay"}
    totals = [sum(hop.duration_ns for hop in hops if hop.parent_id == parent) for parent in parents]
    assert held.samples[sums[0]].values == sorted(totals)


def test_by_nodes() -> None:
    """Messages between other nodes are others, in the direction of the message."""
    nodes = {(key.nodes, key.direction) for key in gather(*SPANS, by_nodes=True).samples}
    assert nodes == {
        ("node-1", "request"),
        ("node-1", "response"),
        ("node-1", "both"),
        ("node-1 > node-2", "request"),
        ("node-2 > node-1", "response"),
        ("node-1 > node-2", "both"),
    }


def test_copies_count_once() -> None:
    """What a backend holds twice is one sample, and that is told."""
    held = gather(*SPANS, *SPANS)
    assert held.samples == gather(*SPANS).samples
    assert held.describe() == ("hops that came again, counted once: 60",)


def test_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hops beyond the limit are left out, and that is told; spans that are no hops do not count."""
    monkeypatch.setattr(hop_samples, "MAX_HOPS", 50)
    held = gather(*SPANS)
    assert held.hops == 50
    assert held.describe() == ("left out, hops beyond the first 50: 10",)


def test_only_what_crosses_clocks_is_uncertain() -> None:
    """The bound of the clocks belongs to the wire, not to the far node's own hops."""
    wire = make_hop(5, ("nic-egress", "nic-ingress"), clock__uncertainty_ns=30)
    merged = make_hop(6, ("overlay-egress", "overlay-ingress"), clock__uncertainty_ns=30)
    far = make_hop(7, ("nic-ingress", "overlay-ingress"), clock__uncertainty_ns=30)
    held = gather(wire, merged, far)
    spans = {key.start: (held.samples[key].lows, held.samples[key].highs) for key in held.samples}
    assert spans == {
        "nic-egress": ([470], [530]),
        "overlay-egress": ([570], [630]),
        "nic-ingress": ([700], [700]),
    }


def respond(span: Span) -> Span:
    attributes = {**span.attributes, "hopspan.direction": "response"}
    return msgspec.structs.replace(span, span_id=b"r" + span.span_id[1:], attributes=attributes)


WAY = (("pod-egress", "veth-ingress"), ("veth-ingress", "veth-egress"), ("veth-egress", "pod-ingress"))


def test_drift_makes_sums_uncertain() -> None:
    """What the estimate of the clocks moved between the two wires may be wrong in their sum."""
    wire = make_hop(5, ("nic-egress", "nic-ingress"), clock__uncertainty_ns=30, clock__offset_ns=1000)
    back = msgspec.structs.replace(
        respond(wire), attributes={**respond(wire).attributes, "hopspan.clock.offset_ns": 1007}
    )
    held = gather(wire, back)
    (samples,) = [held.samples[key] for key in held.samples if key.direction == "both" and key.name == "hop"]
    assert (samples.lows, samples.values, samples.highs) == ([993], [1000], [1007])


def find_sums(*spans: Span) -> set[str]:
    return {key.name for key in gather(*spans).samples if key.direction == "both"}


def test_what_has_no_sum() -> None:
    """One message alone, a gap between hops, and what TCP sent again have no sum of hops."""
    hops = [make_hop(at, points) for at, points in enumerate(WAY, start=1)]
    both = [*hops, *map(respond, hops)]
    assert find_sums(*both) == {"all hops, one node"}
    assert find_sums(*hops) == set()
    assert find_sums(*(hop for hop in both if hop is not hops[1])) == set()
    assert find_sums(*both, make_hop(9, WAY[0], attempt=2)) == set()


def test_spans_that_say_little() -> None:
    """A network span without points, as `spans.detail: summary` sends, is a hop of its own name."""
    attributes = {"hopspan.direction": "request", "hopspan.duration_ns": 7}
    span = msgspec.structs.replace(make_hop(1, WAY[0]), name="network-request", attributes=attributes)
    (key,) = gather(span, by_nodes=True).samples
    assert key == HopKey("?", "request", 8, "network-request")
