"""Say by how much a quantile differs between two sets of samples, and how sure that is. Pure: no chance in it.

How many of n samples lie below the true quantile q is a binomial matter, whatever the samples' distribution: the
chance that the quantile lies between the k-th and the next sample is that of k successes in n throws with chance q.
Both sets' chances together give those of the difference. Each gap counts with its outer end, so that ties and small
sets make the interval wider, never too narrow.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate

import msgspec

MAX_GAPS = 128
"""Neighbouring gaps are joined until no more are left: the work does not grow with the samples."""

SPREAD = 9
"""Standard deviations around the middle that are looked at: beyond lie chances below 1e-17."""

_BEYOND = 1 << 70
"""Stands for the infinite: further than any 64-bit time."""


class Samples(msgspec.Struct, frozen=True):
    """Durations, sorted. Where they are not exactly known, `lows` and `highs` bound them, sorted too."""

    values: Sequence[int]
    lows: Sequence[int]
    highs: Sequence[int]


def sort_samples(values: Sequence[int], uncertainties: Sequence[int] | None = None) -> Samples:
    """Return samples of durations, each known to within its uncertainty, in the same unit; without them exactly."""
    exact = sorted(values)
    if uncertainties is None or not any(uncertainties):
        return Samples(exact, exact, exact)
    pairs = list(zip(values, uncertainties, strict=True))
    lows = sorted(max(0, value - within) for value, within in pairs)
    return Samples(exact, lows, sorted(value + within for value, within in pairs))


def find_quantile(values: Sequence[int], share: float) -> int:
    """Return the smallest of the sorted values that at least this share of them does not exceed."""
    return values[max(0, math.ceil(share * len(values)) - 1)]


def bound_shift(before: Samples, after: Samples, share: float, tail: float) -> tuple[int, int] | None:
    """Return the ends of an interval for the quantile of `after` minus that of `before`.

    The true difference lies below it, and above it, with a chance of at most `tail` each. None where there are too
    few samples to say so.
    """
    lowest = _find_lowest(after.lows, before.highs, share, tail)
    highest = -_find_lowest(before.lows, after.highs, share, tail)
    return (lowest, highest) if lowest > -_BEYOND // 2 and highest < _BEYOND // 2 else None


def _find_lowest(lows: Sequence[int], highs: Sequence[int], share: float, tail: float) -> int:
    """Return the smallest v for which the chance that the quantiles differ by v or less exceeds `tail`."""
    minuends = [(lows[first - 1] if first else -_BEYOND, chance) for first, _, chance in _list_gaps(len(lows), share)]
    gaps = _list_gaps(len(highs), share)
    subtrahends = [highs[last] if last < len(highs) else _BEYOND for _, last, _ in gaps]
    # Entry i: the chance of subtrahend i and all greater ones.
    chances = [*accumulate((chance for *_, chance in reversed(gaps)), initial=0.0)][::-1]
    under, upto = -2 * _BEYOND - 1, 2 * _BEYOND
    while upto - under > 1:
        middle = (under + upto) // 2
        found = math.fsum(
            chance * chances[bisect_left(subtrahends, minuend - middle)] for minuend, chance in minuends
        )
        if found > tail:
            upto = middle
        else:
            under = middle
    return upto


@lru_cache(4096)
def _list_gaps(count: int, share: float) -> tuple[tuple[int, int, float], ...]:
    """Return runs of numbers of samples that may lie below the quantile: first, last, and their chance together."""
    middle, deviation = count * share, math.sqrt(count * share * (1 - share))
    first = max(0, math.floor(middle - SPREAD * deviation) - 1)
    last = min(count, math.ceil(middle + SPREAD * deviation) + 1)
    width = -(-(last - first + 1) // MAX_GAPS)
    runs = ((start, min(start + width - 1, last)) for start in range(first, last + 1, width))
    return tuple(
        (start, stop, math.fsum(_weigh(k, count, share) for k in range(start, stop + 1))) for start, stop in runs
    )


def _weigh(successes: int, count: int, share: float) -> float:
    """Return the chance of so many successes in `count` throws."""
    ways = math.lgamma(count + 1) - math.lgamma(successes + 1) - math.lgamma(count - successes + 1)
    return math.exp(ways + successes * math.log(share) + (count - successes) * math.log1p(-share))
