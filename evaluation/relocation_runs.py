"""Turns question 1's rounds into measures: quantiles and throughput by variant, and their ratios. Pure."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from random import Random

from evaluation.estimates import LEAST_ROUNDS, estimate_ratio, find_quantile
from evaluation.header_blocks import find_context_end, share_within
from evaluation.results_relocation import Blocks, Measure

LAST, AGAIN, FIRST, UNTRACED = VARIANTS = ("context last", "context last again", "context first", "no tracing")
"""What the sidecars do with the context; the second is the first once more, a control in which nothing changes."""

_ORDERS = ((0, 1, 3, 2), (1, 2, 0, 3), (2, 3, 1, 0), (3, 0, 2, 1))
"""Of the variants' turns (Williams 1949): each is once in each place, and once behind each other."""

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
THROUGHPUT = "throughput"
SIDECAR_CPU = "sidecar CPU"
CLOSED_LOOP = "closed loop"
WINDOWS_BYTES = (128, 256, 512, 1024)

Figures = Mapping[str, float]
"""Of one run: by the measure's name, in the report's units."""

Round = Mapping[str, Mapping[str, Figures]]
"""By level, and by variant; a run without an answer has no figures."""


def order_variants(number: int) -> tuple[str, ...]:
    """Return the order of the variants' turns; four of them are balanced."""
    return tuple(VARIANTS[place] for place in _ORDERS[number % len(_ORDERS)])


def plan_sendings(rate_per_s: float, seconds: float, chance: Random) -> list[int]:
    """Return the times in ns at which independent users would ask: a Poisson process of that rate, sorted."""
    times_ns, time_s = [], chance.expovariate(rate_per_s)
    while time_s < seconds:
        times_ns.append(round(time_s * 1e9))
        time_s += chance.expovariate(rate_per_s)
    return times_ns


def name_share(share: float) -> str:
    """Return the level of an open loop at a share of saturation."""
    return f"{100 * share:.0f} %"


def find_quantiles(times_ns: Sequence[int]) -> Figures:
    """Return the quantiles of one run's latency in ms; nothing of a run without an answer."""
    ordered = sorted(times_ns)
    if not ordered:
        return {}
    return {name: find_quantile(ordered, share) / 1e6 for name, share in QUANTILES.items()}


def list_measures(load: str, rounds: Sequence[Round], chance: Random) -> Iterator[Measure]:
    """Yield the load's measures at each level.

    A round in which one of the variants gave no answer has no part in the level's, and a level of fewer rounds than
    an interval needs has none.
    """
    for level in dict.fromkeys(level for each in rounds for level in each):
        whole = [each[level] for each in rounds if level in each and all(each[level].get(name) for name in VARIANTS)]
        if len(whole) < LEAST_ROUNDS:
            continue
        for name in whole[0][LAST]:
            figures = {variant: [each[variant][name] for each in whole] for variant in VARIANTS}
            yield Measure(
                load,
                level,
                name,
                {variant: statistics.median(values) for variant, values in figures.items()},
                *(
                    estimate_ratio(list(zip(figures[base], figures[other], strict=True)), chance)
                    for base, other in ((LAST, FIRST), (LAST, AGAIN), (UNTRACED, LAST))
                ),
            )


def describe_blocks(variant: str, blocks: Sequence[bytes]) -> Blocks | None:
    """Return where the context lies in a variant's header blocks; None where none of them has one."""
    traced = [(len(block), end) for block in blocks if (end := find_context_end(block)) is not None]
    if not traced:
        return None
    sizes, ends = zip(*traced, strict=True)
    shares = {window: share_within(ends, window) for window in WINDOWS_BYTES}
    return Blocks(variant, len(ends), _span(sizes), _span(ends), shares)


def _span(values: Sequence[int]) -> tuple[int, int, int]:
    return min(values), round(statistics.median(values)), max(values)
