"""Question 2's section says what its results say, and what speaks against hopspan's clock."""

import pytest

from evaluation.report_clock import has_lawful_sign, list_doubts, render_clock
from evaluation.results_clock import ClockResult, Observed, PointClocks
from evaluation.values import Estimate
from node_probe.transit import Point
from tests.evaluation.samples_clock import make_clock, make_hop, make_missed, make_point

SOME = Estimate(77.7, 77.6, 77.8)


def test_every_figure_is_in_the_section() -> None:
    """Hops, differences, what each adds and misses."""
    lines = render_clock(make_clock())
    assert (
        "| veth-hop (request, node-1) | 1.5 / 1.9 / 2.0 | 1.5 / 1.9 / 2.0 | +0.61 (+0.60 to +0.62) "
        "| 1.5 / 1.9 / 2.0 | 1.5 / 1.9 / 2.0 |"
    ) in lines
    assert "| pod-ingress (request) | comes in | +1.25 (+1.15 to +1.35) | +0.25 to +2.25 |" in lines
    assert "| veth-hop (request, node-1) | +0.91 (+0.80 to +1.00) | +0.11 (+0.00 to +0.20) |" in lines
    assert "| all, sum of the medians | +0.91 | +0.11 |" in lines
    assert "| p50 | 301 (290 to 310) | +12 (-1.00 to +20) | +12 (-1.00 to +20) | +12 (-1.00 to +20) |" in lines
    missed = "| saturation | 20,000 | 0.00 % (0.00 to 0.00) | 20,000 | 3.25 % (3.25 to 3.25) |"
    assert missed in lines


def test_nothing_against_us_is_said_too() -> None:
    """Where nothing speaks against hopspan, the section says so."""
    assert list_doubts(make_clock()) == []
    assert "Nothing in this run." in render_clock(make_clock())


@pytest.mark.parametrize(
    ("answer", "doubt"),
    [
        (make_clock(points=(make_point(bias_us=0.5),)), "pod-egress (request): the difference is +0.50"),
        (
            make_clock(hops=(make_hop(by_hopspan_us=SOME),)),
            "hopspan lengthens it by +78 (+78 to +78) us, tcpdump by +0.91",
        ),
        (
            make_clock(observed=(Observed(99, SOME, SOME, SOME, SOME),)),
            "a request's p99 longer by +78 (+78 to +78) us",
        ),
        (
            make_clock(missed=(make_missed("hopspan", 1.5), make_missed("tcpdump", 0.5))),
            "saturation: hopspan missed 1.50 % (1.50 to 1.50) of the messages",
        ),
        (make_clock(incomplete=7), "7 of 67000 messages were seen whole by one clock only"),
    ],
    ids=["sign", "observer", "end to end", "missed", "incomplete"],
)
def test_what_comes_out_against_us_is_said(answer: ClockResult, doubt: str) -> None:
    """Each has its line."""
    (line,) = list_doubts(answer)
    assert doubt in line
    assert line in render_clock(answer)


@pytest.mark.parametrize(
    ("point", "is_lawful"),
    [
        (make_point(Point.NIC_EGRESS, -0.5), True),
        (make_point(Point.NIC_EGRESS, 0.5), False),
        (make_point(Point.NIC_EGRESS, 0.05), True),
        (make_point(Point.POD_EGRESS, 0.5, is_first=True), True),
        (make_point(Point.NIC_INGRESS, 0.5), True),
        (make_point(Point.NIC_INGRESS, -0.5), False),
    ],
    ids=[
        "leaves, earlier",
        "leaves, later",
        "chance",
        "leaves behind a search",
        "comes in, later",
        "comes in, earlier",
    ],
)
def test_sign_of_a_difference_is_judged(point: PointClocks, *, is_lawful: bool) -> None:
    """By where each clock takes its stamp; a search may outweigh the queue."""
    assert has_lawful_sign(point) == is_lawful
