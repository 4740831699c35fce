"""Compare the hops of two sets of traces, and say of each what can be said. Pure: the same sets, the same verdicts.

With many hops compared, some would seem to differ by chance alone. So the allowed chance of error is shared out
evenly among all comparisons (Bonferroni): with the stated confidence no interval at all misses its true difference.
"""

import enum
from collections.abc import Mapping

import msgspec

from traceview.hop_samples import HopKey, HopSet
from traceview.quantile_shift import Samples, bound_shift, find_quantile

SHARES = {"p50": 0.5, "p99": 0.99}
"""The quantiles that are compared, and their names."""

DEFAULT_CONFIDENCE = 0.95

MAX_ROWS = 1000
"""Ways that are compared, those with the most samples; some 10 ms each."""


class Verdict(enum.StrEnum):
    """What can be said of a quantile."""

    SLOWER = "slower"
    FASTER = "faster"
    NOT_SEEN = "no difference seen"
    TOO_FEW = "too few to say"
    ONLY_BEFORE = "only before"
    ONLY_AFTER = "only after"


class Side(msgspec.Struct, frozen=True):
    """One set, what it is called, and what to know about it, a sentence each."""

    name: str
    held: HopSet
    notes: tuple[str, ...]


class Shift(msgspec.Struct, frozen=True):
    """One quantile of both sets; what is not known is None."""

    before_ns: int | None
    after_ns: int | None
    difference_ns: int | None
    """After minus before, of these very samples."""
    interval_ns: tuple[int, int] | None
    """Where the true difference lies."""
    verdict: Verdict


class Row(msgspec.Struct, frozen=True):
    """One hop, or one sum of hops, of both sets."""

    key: HopKey
    before_count: int
    after_count: int
    shifts: Mapping[str, Shift]
    """By the names of SHARES."""


class Comparison(msgspec.Struct, frozen=True):
    """All rows, in the order of their keys."""

    rows: tuple[Row, ...]
    confidence: float
    """Of all intervals together."""
    comparisons: int
    """Among which the chance of error was shared out."""
    rows_left_out: int = 0
    """Beyond MAX_ROWS."""

    @property
    def verdicts(self) -> frozenset[Verdict]:
        """Return what was found in any row."""
        return frozenset(shift.verdict for row in self.rows for shift in row.shifts.values())


def compare_sets(before: HopSet, after: HopSet, confidence: float = DEFAULT_CONFIDENCE) -> Comparison:
    """Return the comparison of all hops that either set has."""
    keys = sorted(before.samples.keys() | after.samples.keys(), key=lambda key: key.order)
    most = sorted(keys, key=lambda key: _count_less(key, before, after), reverse=True)[:MAX_ROWS]
    chosen = sorted(most, key=lambda key: key.order)
    comparisons = len(SHARES) * sum(key in before.samples and key in after.samples for key in chosen)
    tail = (1 - confidence) / 2 / max(1, comparisons)
    rows = tuple(_compare_hop(key, before.samples.get(key), after.samples.get(key), tail) for key in chosen)
    return Comparison(rows, confidence, comparisons, len(keys) - len(chosen))


def _count_less(key: HopKey, before: HopSet, after: HopSet) -> int:
    """Return how many samples the set has that has fewer of them: so many decide what can be said."""
    return min(len(found.values) if (found := held.samples.get(key)) else 0 for held in (before, after))


def _compare_hop(key: HopKey, before: Samples | None, after: Samples | None, tail: float) -> Row:
    return Row(
        key,
        before_count=len(before.values) if before else 0,
        after_count=len(after.values) if after else 0,
        shifts={name: _compare_quantile(before, after, share, tail) for name, share in SHARES.items()},
    )


def _compare_quantile(before: Samples | None, after: Samples | None, share: float, tail: float) -> Shift:
    first_ns = find_quantile(before.values, share) if before else None
    second_ns = find_quantile(after.values, share) if after else None
    if before is None or after is None or first_ns is None or second_ns is None:
        return Shift(first_ns, second_ns, None, None, Verdict.ONLY_BEFORE if before else Verdict.ONLY_AFTER)
    interval_ns = bound_shift(before, after, share, tail)
    return Shift(first_ns, second_ns, second_ns - first_ns, interval_ns, _judge(interval_ns))


def _judge(interval_ns: tuple[int, int] | None) -> Verdict:
    if interval_ns is None:
        return Verdict.TOO_FEW
    lowest, highest = interval_ns
    if lowest > 0:
        return Verdict.SLOWER
    return Verdict.FASTER if highest < 0 else Verdict.NOT_SEEN
