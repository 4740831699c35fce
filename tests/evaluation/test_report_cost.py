"""Question 3's section says what its results say, and what hopspan costs beyond chance."""

import pytest

from evaluation.report_cost import list_doubts, render_cost
from evaluation.results_cost import Change, VariantCost
from evaluation.values import Estimate
from tests.evaluation.samples_clock import make_change, make_cost, make_variant

NAME = "hopspan, 1 %"
LESS = Estimate(-5, -6, -4)


def test_every_figure_is_in_the_section() -> None:
    """Loads with their changes, what watches, the programs."""
    variant = make_variant(NAME, rate=make_change(-5, 28_500), lost_percent=Estimate(0.25, 0, 1))
    text = "\n".join(render_cost(make_cost([variant])))
    own = (
        "| hopspan, 1 % | 0.0 (-1.0 to 1.0) | 11.0 (10.0 to 12.0) | 6.0 (5.0 to 7.0) "
        "| 3.0 (2.0 to 4.0) | 40 (39 to 41) | 0.25 (0.00 to 1.00) |"
    )
    assert "a *steady* one of 2,400 requests a second" in text
    assert "| off | 30,000 | 100 | 100 | 100 | 100 |" in text
    assert "| hopspan, 1 % | 28,500<br>-5.0 % (-5.5 to -4.5) |" in text
    assert own in text
    assert "| pod_egress | 321 (300 to 340) | 100 (90 to 110) |" in text
    assert "| **exchange** | 4,567 (4,500 to 4,600) | 100 (90 to 110) |" in text


def test_chance_is_no_cost() -> None:
    """Changes whose interval holds nothing are in the table alone."""
    assert list_doubts(make_cost()) == []
    assert "Nothing in this run." in render_cost(make_cost())


@pytest.mark.parametrize(
    ("variant", "doubt"),
    [
        (
            make_variant(NAME, rate=Change(LESS, LESS, LESS)),
            "requests at saturation -5.0 % (-6.0 to -4.0); tcpdump +0.0 %",
        ),
        (make_variant(NAME, cpu_us=make_change(7)), "CPU time of an exchange +7.0 % (+6.3 to +7.7); tcpdump +0.0 %"),
        (make_variant(NAME, p50_us=make_change(7)), "p50 at the steady load +7.0 % (+6.3 to +7.7); tcpdump +0.0 %"),
        (make_variant(NAME, p99_us=make_change(7)), "p99 at the steady load +7.0 % (+6.3 to +7.7); tcpdump +0.0 %"),
        (make_variant(NAME, own_rss_mib=Estimate(60, 59, 61)), "60 MiB a node, tcpdump 40"),
        (
            make_variant(NAME, lost_percent=Estimate(12.5, 10, 15)),
            "12.50 (10.00 to 15.00) % of the transits were lost",
        ),
    ],
    ids=["throughput", "CPU", "median", "tail", "memory", "loss"],
)
def test_what_comes_out_against_us_is_said(variant: VariantCost, doubt: str) -> None:
    """Each cost has its line, with tcpdump's beside it."""
    (line,) = list_doubts(make_cost([variant]))
    assert line.startswith(f"- **{NAME}**: ")
    assert doubt in line
