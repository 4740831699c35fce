"""What a variant costs is told by the runs without anything around it, and what programs cost by the kernel."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.cost_rounds import HookRun, Loads, Piece, Watching, judge_hooks, judge_variants
from evaluation.results_cost import ExchangeCost, HookCost
from evaluation.values import Estimate

ROUNDS = 3


def make_loads(rate: float = 1000) -> Loads:
    """Return loads that all follow from the rate."""
    return Loads(rate, 1e6 / rate, 9e6 / rate, rate / 10, 1e5 / rate, 3e5 / rate)


def make_piece(before: float, rate: float, after: float) -> Piece:
    """Return a variant's run between two without anything, by their rates."""
    return Piece(make_loads(before), make_loads(rate), make_loads(after), Watching(7, 3, 5, 40), 0.5)


@given(st.floats(-50, 50))
def test_drift_is_no_cost(drift: float) -> None:
    """A machine that grows faster or slower throughout gives the variant no cost."""
    (cost,) = judge_variants({"x": [make_piece(1000, 1000 + drift, 1000 + 2 * drift)] * ROUNDS})
    assert cost.rate.change.median == pytest.approx(0, abs=1e-6)


def test_cost_is_the_change_against_both_neighbours() -> None:
    """A rate of 900 between 950 and 1050 is 10 % less, and the figures keep their units."""
    (cost,) = judge_variants({"x": [make_piece(950, 900, 1050)] * ROUNDS})
    assert cost.rate.value == Estimate(900, 900, 900)
    assert cost.rate.change == Estimate(-100, -100, -100)
    assert cost.rate.percent == Estimate(-10, -10, -10)
    assert cost.cpu_us.change.median > 0
    assert (cost.own_us.median, cost.peer_us.median) == (7, 3)
    assert (cost.own_cpu_percent.median, cost.own_rss_mib.median, cost.lost_percent.median) == (5, 40, 0.5)


def test_programs_cost_what_the_kernel_says() -> None:
    """Time by runs for each program, by requests for all; a program that never ran has no figure."""
    runs = [HookRun(percent, 100, {"a": 2000 * percent, "b": 0}, {"a": 10, "b": 0}) for percent in (100, 1, 1, 100)]
    hooks, exchanges = judge_hooks(runs)
    assert hooks == (HookCost("a", 1, Estimate(200, 200, 200)), HookCost("a", 100, Estimate(20_000, 20_000, 20_000)))
    assert exchanges == (ExchangeCost(1, Estimate(20, 20, 20)), ExchangeCost(100, Estimate(2000, 2000, 2000)))


def test_one_round_has_no_interval() -> None:
    """Of one value nothing is known of chance."""
    with pytest.raises(ValueError, match="rounds"):
        judge_variants({"x": [make_piece(1, 1, 1)]})
