"""Estimates from measured values: medians of paired rounds with bootstrap confidence intervals, quantiles, ECDFs.

Pure: chance comes as a seeded generator, so the same values give the same figures.
"""

import statistics
from collections.abc import Sequence
from random import Random

from evaluation.values import Estimate

CONFIDENCE = 0.95
RESAMPLES = 2000
"""The bounds of an interval then rest on the 50 outermost medians each; more changes them by less than rounds do."""

LEAST_ROUNDS = 2
"""Of one value nothing can be resampled."""


def estimate_median(values: Sequence[float], chance: Random) -> Estimate:
    """Return the median of the rounds' values and its interval: percentile bootstrap (Efron 1979).

    Raises ValueError for fewer than LEAST_ROUNDS values.
    """
    if len(values) < LEAST_ROUNDS:
        raise ValueError(f"{len(values)} rounds: an interval needs {LEAST_ROUNDS}")
    medians = sorted(statistics.median(chance.choices(values, k=len(values))) for _ in range(RESAMPLES))
    outside = (1 - CONFIDENCE) / 2
    bounds = (find_quantile(medians, outside), find_quantile(medians, 1 - outside))
    return Estimate(float(statistics.median(values)), *map(float, bounds))  # of whole numbers too: so they are read


def estimate_growth(pairs: Sequence[tuple[float, float]], chance: Random) -> Estimate:
    """Return by how much the second value of a pair exceeds the first, over rounds. Raises as `estimate_median`."""
    return estimate_median([after - before for before, after in pairs], chance)


def estimate_ratio(pairs: Sequence[tuple[float, float]], chance: Random) -> Estimate:
    """Return the second value of a pair as a multiple of the first, over rounds. Raises as `estimate_median`."""
    return estimate_median([after / before for before, after in pairs], chance)


def find_quantile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest of the sorted values that at least `share` (0 to 1) of them do not exceed.

    Raises ValueError where there is no value.
    """
    if not ordered:
        raise ValueError("no value has no quantile")
    return ordered[max(0, min(len(ordered) - 1, -int(-share * len(ordered) // 1) - 1))]


def list_ecdf(values: Sequence[float]) -> list[tuple[float, float]]:
    """Return each distinct value, ascending, with the share of values that do not exceed it."""
    ordered = sorted(values)
    steps = {value: place / len(ordered) for place, value in enumerate(ordered, 1)}
    return list(steps.items())


def alternate(number: int) -> tuple[bool, bool]:
    """Return for a round whether its first and second run have the fault: the order turns each round.

    What drifts with time then raises one half of the differences and lowers the other.
    """
    return (False, True) if number % 2 == 0 else (True, False)
