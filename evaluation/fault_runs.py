"""Turns paired runs without and with a fault into what the fault did. Pure: values in, values out."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from evaluation.estimates import estimate_growth, estimate_median
from evaluation.results_faults import FaultResult, Growth
from evaluation.segments import Exchange

SHARE_OF_MOST = 0.5
"""A segment is found to have grown if it did at least half as much as the one that grew most, and beyond chance."""

SEED = 20221128
"""Any number will do, if it stays."""


@dataclass(frozen=True)
class Run:
    """One run: the calls that showed all their hops, how many were made, and what the true delay is then."""

    exchanges: Sequence[Exchange]
    requests: int
    true_ns: float

    def find_median(self, *segments: str) -> float:
        """Return the median over the calls of what the segments took together, in us; an absent one took none."""
        sums = (sum(call.segments.get(name, 0) for name in segments) for call in self.exchanges)
        return statistics.median(sums) / 1e3

    def find_gap(self) -> float:
        return statistics.median(call.gap_ns for call in self.exchanges) / 1e3


@dataclass(frozen=True)
class Pair:
    """A round: a run without the fault and one with it, whichever came first."""

    without: Run
    with_it: Run


@dataclass(frozen=True)
class Story:
    """What is told of a fault."""

    name: str
    cause: str
    truth: str
    expected: tuple[str, ...]


def judge_fault(story: Story, pairs: Sequence[Pair]) -> FaultResult:
    """Return what the fault did. Each run must have a call; raises ValueError for fewer rounds than two."""
    chance = Random(SEED)  # noqa: S311 - no secret: the same rounds give the same bounds
    growths = [_measure_growth(segment, pairs, chance) for segment in _list_segments(pairs)]
    found = find_grown({growth.segment: growth for growth in growths})
    true = [(pair.with_it.true_ns - pair.without.true_ns) / 1e3 for pair in pairs]
    claimed = dict.fromkeys((*story.expected, *found))
    measured = [pair.with_it.find_median(*claimed) - pair.without.find_median(*claimed) for pair in pairs]
    runs = [run for pair in pairs for run in (pair.without, pair.with_it)]
    return FaultResult(
        name=story.name,
        cause=story.cause,
        truth=story.truth,
        expected=story.expected,
        found=found,
        true_us=estimate_median(true, chance),
        measured_us=estimate_median(measured, chance),
        error_us=estimate_growth(list(zip(true, measured, strict=True)), chance),
        gap_us=estimate_growth([(pair.without.find_gap(), pair.with_it.find_gap()) for pair in pairs], chance),
        growths=tuple(growths),
        requests=sum(run.requests for run in runs),
        incomplete=sum(run.requests - len(run.exchanges) for run in runs),
        unnumbered=sum(not call.is_numbered for run in runs for call in run.exchanges),
    )


def find_grown(growths: Mapping[str, Growth]) -> tuple[str, ...]:
    """Return the segments that grew beyond chance and at least half as much as the first, which grew most."""
    sure = {name: growth.growth_us.median for name, growth in growths.items() if growth.growth_us.low > 0}
    most = max(sure.values(), default=0.0)
    grown = [name for name, median in sure.items() if median >= SHARE_OF_MOST * most]
    return tuple(sorted(grown, key=lambda name: -sure[name]))


def _measure_growth(segment: str, pairs: Sequence[Pair], chance: Random) -> Growth:
    medians = [(pair.without.find_median(segment), pair.with_it.find_median(segment)) for pair in pairs]
    return Growth(
        segment=segment,
        without_us=statistics.median(before for before, _ in medians),
        with_us=statistics.median(after for _, after in medians),
        growth_us=estimate_growth(medians, chance),
    )


def _list_segments(pairs: Sequence[Pair]) -> list[str]:
    """Return the names of all segments, in their order."""
    calls = (call for pair in pairs for run in (pair.without, pair.with_it) for call in run.exchanges)
    return list(dict.fromkeys(name for call in calls for name in call.segments))
