"""Turns measured values into the figures of a report: a number, or a median with the lowest and the highest.

Pure: no IO, reads no clock.
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

DECIMALS = 3
"""More than any of these measurements repeats."""

SPREAD_KEYS = frozenset({"median", "low", "high"})

Figure = float | Mapping[str, float] | None
"""None: this run gives no figure, which is not the same as zero."""

Report = Mapping[str, Any]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median of some rounds, the lowest and the highest."""
    return {
        "median": round(statistics.median(values), DECIMALS),
        "low": round(min(values), DECIMALS),
        "high": round(max(values), DECIMALS),
    }


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` (0 to 1) of the values do not exceed: the nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def loss_percent(with_it: float, without: float) -> float:
    """Return how many percent of the rate `without` are gone."""
    return 100 * (1 - with_it / without)


def find_figure(report: Report, key: str) -> Figure:
    """Return the figure under a dotted key. Raises KeyError."""
    value: Any = report
    for name in key.split("."):
        value = value[name]
    return cast("Figure", value)


def middle(figure: Figure) -> float | None:
    """Return the number that stands for a figure."""
    if figure is None or isinstance(figure, (int, float)):
        return figure
    return figure["median"]


def list_figures(report: Report, prefix: str = "") -> Iterator[tuple[str, Figure]]:
    """Yield dotted key and figure of all figures in nested objects; texts are none."""
    for name, value in report.items():
        key = f"{prefix}{name}"
        if value is None or (isinstance(value, Mapping) and value.keys() == SPREAD_KEYS):
            yield key, value
        elif isinstance(value, Mapping):
            yield from list_figures(value, f"{key}.")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield key, value
