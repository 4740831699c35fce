"""Turns rounds, each a cost at every size, into curves. Pure: values in, values out."""

from collections.abc import Mapping, Sequence
from random import Random

from evaluation.estimates import estimate_median
from evaluation.results_scale import Curve

START, START_CPU, MEMORY, IDLE, LOADED = "start", "start cpu", "memory", "idle", "loaded"
FIRST_POINT, TRANSIT = "first point", "transit"
SPAN = "span"
"""Names of the curves."""

UNITS = {
    START: "s",
    START_CPU: "s of CPU",
    MEMORY: "MiB",
    IDLE: "ms of CPU a second",
    LOADED: "ms of CPU a second",
    FIRST_POINT: "ns",
    TRANSIT: "ns",
    SPAN: "us of CPU",
}

SEED = 20221128
"""Any number will do, if it stays."""


def make_curve(name: str, rounds: Sequence[Mapping[int, float]]) -> Curve:
    """Return the curve of a cost; each round has it at every size. Raises ValueError for fewer than two rounds."""
    chance = Random(SEED)  # noqa: S311 - no secret: the same rounds give the same bounds
    sizes = sorted(rounds[0])
    ratios = [{size: _divide(one[size], one[sizes[0]]) for size in sizes} for one in rounds]
    return Curve(
        name=name,
        unit=UNITS[name],
        sizes=tuple(sizes),
        values=tuple(estimate_median([one[size] for one in rounds], chance) for size in sizes),
        ratios=tuple(estimate_median([one[size] for one in ratios], chance) for size in sizes),
    )


def order_sizes(sizes: Sequence[int], number: int) -> list[int]:
    """Return the sizes in the order of a round: up, and down in the next, so that drift favours none."""
    return sorted(sizes, reverse=number % 2 == 1)


def _divide(cost: float, smallest: float) -> float:
    # A clock that did not move in the smallest's time: then nothing is known of the ratio but that it is not less.
    return cost / smallest if smallest > 0 else 1.0
