"""A cost's curve over sizes is told by ratios within a round, so what drifts between rounds is not in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.scale_curves import LOADED, MEMORY, UNITS, make_curve, order_sizes
from evaluation.values import Estimate

SIZES = (2, 50, 200)


@given(st.lists(st.floats(0.1, 1000), min_size=2, max_size=9), st.floats(1, 20))
def test_ratio_is_told_whatever_a_round_costs(speeds: list[float], growth: float) -> None:
    """A machine that is ten times slower in a round makes all its costs so; the ratio stays."""
    rounds = [{2: speed, 50: speed, 200: speed * growth} for speed in speeds]
    ratios = make_curve(LOADED, rounds).ratios
    assert ratios[:2] == (Estimate(1, 1, 1), Estimate(1, 1, 1))
    assert ratios[2].low == pytest.approx(growth)
    assert ratios[2].high == pytest.approx(growth)


def test_values_are_medians_beside_their_sizes() -> None:
    """Whichever order a round had its sizes in."""
    curve = make_curve(MEMORY, [{200: 60.0, 2: 50.0}, {2: 52.0, 200: 66.0}, {200: 61.0, 2: 51.0}])
    assert (curve.name, curve.unit, curve.sizes) == (MEMORY, UNITS[MEMORY], (2, 200))
    assert [value.median for value in curve.values] == [51, 61]


def test_cost_that_was_too_small_to_see_has_no_ratio() -> None:
    """Of a clock that did not move nothing is made up, least of all an endless growth."""
    assert make_curve(LOADED, [{2: 0.0, 200: 5.0}] * 2).ratios[1] == Estimate(1, 1, 1)


def test_sizes_go_up_and_down_by_turns() -> None:
    """Of two rounds each order comes once."""
    assert order_sizes(SIZES, 0) == [2, 50, 200]
    assert order_sizes(SIZES, 1) == [200, 50, 2]
