"""Question 4's section says what its results say, and what speaks against us."""

import msgspec
import pytest

from evaluation.report import render_report
from evaluation.report_faults import list_doubts
from evaluation.results_faults import FaultResult
from evaluation.values import Estimate
from tests.evaluation.samples import make_fault, make_results


def test_table_has_every_figure_of_a_fault() -> None:
    """Truth, measure, error and gap with their intervals, as the results have them."""
    (row,) = (line for line in render_report(make_results()).splitlines() if line.startswith("| iptables rules"))
    cells = [cell.strip() for cell in row.split("|")]
    assert cells[1:-1] == [
        "iptables rules",
        "1,234 (1,200 to 1,300)",
        "host-forward (request, node-1)",
        "1,232 (1,190 to 1,310)",
        "-3.0 (-10 to 5.0)",
        "2,346 (2,000 to 2,600)",
    ]


def test_other_results_make_another_report() -> None:
    """No figure of a fault stands in the report by itself: each changes with the results."""
    fault = make_fault()
    report = render_report(make_results(fault))
    for name in ("true_us", "measured_us", "error_us", "gap_us"):
        changed = msgspec.structs.replace(fault, **{name: Estimate(777_777, 777_776, 777_778)})
        assert "777,777 (777,776 to 777,778)" in render_report(make_results(changed))
        assert "777,777" not in report


@pytest.mark.parametrize(
    ("fault", "doubt"),
    [
        (make_fault(growths=()), "did not grow as it should: host-forward (request, node-1)"),
        (make_fault(found=(*make_fault().expected, "server")), "grew though it should not: server"),
        (
            make_fault(error_us=Estimate(-400, -500, -300)),
            "the measured delay is off by -400 us, -32 % of the true one",
        ),
        (make_fault(incomplete=3), "3 of 310 requests did not show all their hops"),
        (make_fault(unnumbered=2), "2 of 310 requests were sent again and their hops do not say so"),
    ],
)
def test_what_comes_out_against_us_is_said(fault: FaultResult, doubt: str) -> None:
    """Each has its sentence, under the fault's name."""
    assert f"- **iptables rules**: {doubt}" in render_report(make_results(fault))


@pytest.mark.parametrize(
    "error", [Estimate(-3, -10, 5), Estimate(-50, -60, -40), Estimate(900, -1, 2000)], ids=["none", "small", "chance"]
)
def test_small_errors_and_chance_are_no_doubt(error: Estimate) -> None:
    """An error within chance, or too small to lead anybody astray, is in the table alone."""
    fault = make_fault(error_us=error)
    assert list_doubts(fault) == []
    assert "Nothing in this run" in render_report(make_results(fault))
