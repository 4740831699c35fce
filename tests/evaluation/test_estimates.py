"""Estimates are repeatable, hold what they estimate, and know chance from growth."""

from random import Random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.estimates import (
    LEAST_ROUNDS,
    alternate,
    estimate_growth,
    estimate_median,
    find_quantile,
    list_ecdf,
)


def seeded(seed: int) -> Random:
    """Return a generator that draws the same each time."""
    return Random(seed)  # noqa: S311 - a test's chance


VALUES = st.lists(st.integers(-(10**9), 10**9), min_size=LEAST_ROUNDS, max_size=12)


@given(VALUES)
def test_interval_holds_the_median_and_lies_among_the_values(values: list[int]) -> None:
    """The bounds are medians of values that occurred, on either side of the median of all."""
    found = estimate_median(values, seeded(1))
    assert found.median == median(values)
    assert min(values) <= found.low <= found.median <= found.high <= max(values)


@given(VALUES)
def test_same_values_and_seed_give_the_same_bounds(values: list[int]) -> None:
    """A report that is made again from the same rounds has the same figures."""
    assert estimate_median(values, seeded(7)) == estimate_median(values, seeded(7))


def test_interval_narrows_with_rounds() -> None:
    """Ten times the rounds of the same spread tell the median more exactly."""
    draw = seeded(3)
    values = [draw.gauss(100, 10) for _ in range(100)]
    few, many = estimate_median(values[:10], draw), estimate_median(values, draw)
    assert many.high - many.low < few.high - few.low


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Of 200 experiments with 15 rounds some 95 % hold the true median; fewer than 85 % would be no such interval."""
    draw = seeded(11)
    found = (estimate_median([draw.gauss(50, 5) for _ in range(15)], draw) for _ in range(200))
    assert sum(one.low <= 50 <= one.high for one in found) >= 170


def test_drift_is_no_growth() -> None:
    """Pairs share what drifts, so a drift far larger than the growth hides it not."""
    pairs = [(1000.0 * round_, 1000.0 * round_ + 3) for round_ in range(9)]
    found = estimate_growth(pairs, seeded(1))
    assert (found.low, found.median, found.high) == (3, 3, 3)


def test_one_round_has_no_interval() -> None:
    """One value says nothing of its spread."""
    with pytest.raises(ValueError, match="1 rounds"):
        estimate_median([1.0], seeded(1))


@given(st.lists(st.integers(0, 100), min_size=1), st.floats(0, 1))
def test_quantile_is_the_least_value_that_enough_do_not_exceed(values: list[int], share: float) -> None:
    """By definition: at least the share lies at or below it, and less than the share below it."""
    ordered = sorted(values)
    found = find_quantile(ordered, share)
    assert sum(value <= found for value in ordered) >= share * len(ordered)
    assert sum(value < found for value in ordered) < max(share * len(ordered), 1)


def test_nothing_has_no_quantile() -> None:
    """No value is not zero."""
    with pytest.raises(ValueError, match="no value"):
        find_quantile([], 0.5)


@given(st.lists(st.integers(0, 20), min_size=1))
def test_ecdf_counts_what_does_not_exceed(values: list[int]) -> None:
    """Each step is a distinct value, in order, with the share of values up to it; the last is all."""
    steps = list_ecdf(values)
    assert [value for value, _ in steps] == sorted(set(values))
    for value, share in steps:
        assert share == sum(other <= value for other in values) / len(values)


def test_order_turns_each_round() -> None:
    """Of two rounds each order comes once."""
    assert alternate(0) == (False, True)
    assert alternate(1) == (True, False)
    assert alternate(2) == alternate(0)
