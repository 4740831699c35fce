"""Turns runs with something that watches, between runs without, into what it costs. Pure: values in, values out."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from evaluation.estimates import estimate_median
from evaluation.results_cost import Change, ExchangeCost, HookCost, VariantCost

SEED = 20221130


@dataclass(frozen=True)
class Loads:
    """What the two loads reached, one after the other."""

    rate: float
    cpu_us: float
    p99_saturated_us: float
    steady_rate: float
    p50_us: float
    p99_us: float


@dataclass(frozen=True)
class Watching:
    """What the processes that watch took: see VariantCost."""

    own_us: float
    peer_us: float
    own_cpu_percent: float
    own_rss_mib: float


@dataclass(frozen=True)
class Piece:
    """One variant's runs, between those without anything."""

    before: Loads
    loads: Loads
    after: Loads
    watching: Watching
    lost_percent: float


@dataclass(frozen=True)
class HookRun:
    """The kernel's account of programs in one run: time and count of each program's runs, on both nodes."""

    sampled_percent: int
    requests: int
    time_ns: Mapping[str, int]
    runs: Mapping[str, int]


Pick = Callable[[Loads], float]


def judge_variants(pieces: Mapping[str, Sequence[Piece]]) -> tuple[VariantCost, ...]:
    """Return what each variant costs. Raises ValueError for fewer rounds than two."""
    chance = Random(SEED)  # noqa: S311 - no secret: the same rounds give the same bounds
    return tuple(
        VariantCost(
            name=name,
            rate=compare(some, lambda loads: loads.rate, chance),
            cpu_us=compare(some, lambda loads: loads.cpu_us, chance),
            p50_us=compare(some, lambda loads: loads.p50_us, chance),
            p99_us=compare(some, lambda loads: loads.p99_us, chance),
            p99_saturated_us=compare(some, lambda loads: loads.p99_saturated_us, chance),
            own_us=estimate_median([piece.watching.own_us for piece in some], chance),
            peer_us=estimate_median([piece.watching.peer_us for piece in some], chance),
            own_cpu_percent=estimate_median([piece.watching.own_cpu_percent for piece in some], chance),
            own_rss_mib=estimate_median([piece.watching.own_rss_mib for piece in some], chance),
            lost_percent=estimate_median([piece.lost_percent for piece in some], chance),
        )
        for name, some in pieces.items()
    )


def compare(pieces: Sequence[Piece], pick: Pick, chance: Random) -> Change:
    """Return a figure, and its change against the mean of the runs before and behind. Raises as `judge_variants`."""
    without = [statistics.mean((pick(piece.before), pick(piece.after))) for piece in pieces]
    values = [pick(piece.loads) for piece in pieces]
    changes = [value - base for value, base in zip(values, without, strict=True)]
    percents = [100 * change / base for change, base in zip(changes, without, strict=True)]
    return Change(*(estimate_median(some, chance) for some in (values, changes, percents)))


def judge_hooks(runs: Sequence[HookRun]) -> tuple[tuple[HookCost, ...], tuple[ExchangeCost, ...]]:
    """Return what a run of each program costs, and all programs an exchange. Raises as `judge_variants`."""
    chance = Random(SEED)  # noqa: S311
    hooks, exchanges = [], []
    for percent in sorted({run.sampled_percent for run in runs}):
        some = [run for run in runs if run.sampled_percent == percent]
        ran = [name for name in some[0].runs if all(run.runs[name] for run in some)]
        hooks += [
            HookCost(name, percent, estimate_median([run.time_ns[name] / run.runs[name] for run in some], chance))
            for name in ran
        ]
        totals = [sum(run.time_ns.values()) / run.requests for run in some]
        exchanges.append(ExchangeCost(percent, estimate_median(totals, chance)))
    return tuple(hooks), tuple(exchanges)
