"""Quantiles and the interval of their difference, against answers that are known by other means."""

import math
import random
from collections.abc import Callable

import pytest

from traceview.quantile_shift import bound_shift, find_quantile, sort_samples

MEDIAN = 0.5


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([7], 0.5, 7),
        ([1, 2], 0.5, 1),
        ([1, 2, 3], 0.5, 2),
        ([1, 2, 3, 4], 0.5, 2),
        (range(1, 101), 0.99, 99),
        (range(1, 102), 0.99, 100),
        ([1, 2], 0.99, 2),
    ],
)
def test_quantiles_are_values_that_occurred(values: list[int], share: float, expected: int) -> None:
    """The nearest rank: half of the samples do not exceed the median."""
    assert find_quantile(values, share) == expected


def chance_below(count: int, most: int, share: float) -> float:
    """Return the binomial chance of at most so many successes, by whole numbers."""
    whole = sum(math.comb(count, k) * share**k * (1 - share) ** (count - k) for k in range(most + 1))
    return float(whole)


@pytest.mark.parametrize("count", [9, 25, 100])
@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize("tail", [0.005, 0.025])
def test_against_an_exactly_known_set(count: int, share: float, tail: float) -> None:
    """Beside a set of equal values the interval is the classical one of order statistics (binomial tails)."""
    constant = sort_samples([0] * 2000)
    found = bound_shift(constant, sort_samples(range(1, count + 1)), share, tail)
    # The quantile lies at or above the k-th sample unless fewer than k lie below it, and so on.
    lows = [k for k in range(1, count + 1) if chance_below(count, k - 1, share) <= tail]
    highs = [k for k in range(1, count + 1) if 1 - chance_below(count, k - 1, share) <= tail]
    assert found == ((max(lows), min(highs)) if lows and highs else None)


def test_too_few_to_say() -> None:
    """No interval where the samples may all lie on one side of the quantile more often than the tail allows."""
    few, many = sort_samples([1] * 5), sort_samples(range(1000))
    assert bound_shift(few, many, MEDIAN, 0.025) is None
    assert bound_shift(many, few, MEDIAN, 0.025) is None
    assert bound_shift(many, sort_samples([1] * 6), MEDIAN, 0.025) is not None
    assert bound_shift(sort_samples([]), many, MEDIAN, 0.025) is None
    # Of 1000 samples the 99th percentile is known, of 100 it is not: 0.99 ** 100 is a third.
    assert bound_shift(many, many, 0.99, 0.025) is not None
    assert bound_shift(many, sort_samples(range(100)), 0.99, 0.025) is None


def test_a_shift_is_found() -> None:
    """Samples that all moved by as much have an interval around that; backwards it is its mirror."""
    before = sort_samples([1000 + 7 * (k % 31) for k in range(500)])
    after = sort_samples([1500 + 7 * (k % 31) for k in range(500)])
    found = bound_shift(before, after, MEDIAN, 0.025)
    assert found is not None
    assert 470 < found[0] < 500 < found[1] < 530
    assert bound_shift(after, before, MEDIAN, 0.025) == (-found[1], -found[0])


def test_ties() -> None:
    """Times of a coarse clock: where both sets are one value, the difference is known; else it widens to a step."""
    assert bound_shift(sort_samples([5000] * 20), sort_samples([5000] * 20), MEDIAN, 0.025) == (0, 0)
    assert bound_shift(sort_samples([5000] * 20), sort_samples([6000] * 20), MEDIAN, 0.025) == (1000, 1000)
    mixed = sort_samples([5000, 6000] * 20)
    assert bound_shift(sort_samples([5000] * 40), mixed, MEDIAN, 0.025) == (0, 1000)


def test_uncertainty_widens() -> None:
    """A time known to within 30 takes 30 more on either side, and one below zero is none."""
    exact, unsure = sort_samples([100] * 50), sort_samples([100] * 50, [30] * 50)
    assert bound_shift(exact, unsure, MEDIAN, 0.025) == (-30, 30)
    assert bound_shift(unsure, unsure, MEDIAN, 0.025) == (-60, 60)
    assert sort_samples([10], [30]).lows == [0]
    assert sort_samples([1, 2], [0, 0]).lows == [1, 2]


def draw_long_tail(chance: random.Random) -> int:
    return int(chance.lognormvariate(9, 0.5))


def draw_coarse(chance: random.Random) -> int:
    return draw_long_tail(chance) // 1000 * 1000


@pytest.mark.parametrize("draw", [draw_long_tail, draw_coarse])
@pytest.mark.parametrize("counts", [(8, 8), (12, 40), (100, 100), (30, 700)])
def test_it_misses_no_more_often_than_it_says(draw: Callable[[random.Random], int], counts: tuple[int, int]) -> None:
    """Of 200 pairs of sets with a known difference, about 2.5 % may miss it on each side; with this seed fewer do."""
    chance = random.Random(7)  # noqa: S311 - the same cases each time
    below = above = 0
    for _ in range(200):
        before, after = ([draw(chance) for _ in range(count)] for count in counts)
        found = bound_shift(sort_samples(before), sort_samples([value + 1000 for value in after]), MEDIAN, 0.025)
        assert found is not None
        below += found[1] < 1000
        above += found[0] > 1000
    assert below <= 5
    assert above <= 5


def test_many_samples_take_no_more_work() -> None:
    """Of 200,000 samples no more gaps are looked at than of few, and the interval is narrow."""
    chance = random.Random(7)  # noqa: S311 - as above
    many = sort_samples([draw_long_tail(chance) for _ in range(200_000)])
    found = bound_shift(many, many, MEDIAN, 0.025)
    assert found is not None
    assert -60 < found[0] < 0 < found[1] < 60
