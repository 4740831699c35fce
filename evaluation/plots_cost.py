"""Draws question 3: what each way to watch takes from throughput and latency, and what the programs take. Pure."""

from collections.abc import Sequence

from evaluation.drawing import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    Axes,
    Figure,
    Pair,
    draw_changes,
    list_bounds,
    save,
    write_ticks,
)
from evaluation.report_cost import COST_HOOKS, COST_LATENCY, COST_THROUGHPUT
from evaluation.results_cost import CostResult, VariantCost

_LINEAR_US = 100.0
"""Tails change by hundreds of times what the median does, up or down."""

_COLOURS = {1: GREEN, 10: ORANGE, 100: BLUE}
"""By the share of sampled requests, in percent."""


def draw_cost(answer: CostResult) -> dict[str, bytes]:
    """Return the plots by file name."""
    return (
        save(COST_THROUGHPUT, lambda: _draw_throughput(answer.variants))
        | save(COST_LATENCY, lambda: _draw_latency(answer.variants))
        | save(COST_HOOKS, lambda: _draw_hooks(answer))
    )


def _draw_throughput(variants: Sequence[VariantCost]) -> Figure:
    """Draw by how much each variant changes the rate at saturation, and the CPU time of an exchange."""
    return _draw_changes(
        variants,
        (
            ("requests a second", BLUE, [variant.rate.percent for variant in variants]),
            ("CPU time of an exchange", ORANGE, [variant.cpu_us.percent for variant in variants]),
        ),
        "change at saturation, % of the runs without anything (95 % interval)",
    )


def _draw_latency(variants: Sequence[VariantCost]) -> Figure:
    """Draw by how much each variant changes a request's p50 and p99 at the steady load."""
    figure = _draw_changes(
        variants,
        (
            ("p50", BLUE, [variant.p50_us.change for variant in variants]),
            ("p99", ORANGE, [variant.p99_us.change for variant in variants]),
        ),
        f"change of a request's time at the steady load, us (95 % interval; linear within {_LINEAR_US:g} us)",
    )
    figure.axes[0].set_xscale("symlog", linthresh=_LINEAR_US)
    write_ticks(figure.axes[0].xaxis)
    return figure


def _draw_changes(variants: Sequence[VariantCost], pair: Pair, label: str) -> Figure:
    figure = Figure(figsize=(9, 1.5 + 0.6 * len(variants)), layout="constrained")
    axes = figure.add_subplot()
    draw_changes(axes, [variant.name for variant in variants], pair, 0.12)
    axes.set_xlabel(label)
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return figure


def _draw_hooks(answer: CostResult) -> Figure:
    """Draw for each program what a run takes, a bar for each share of sampled requests."""
    programs = list(dict.fromkeys(hook.program for hook in answer.hooks))
    percents = [exchange.sampled_percent for exchange in answer.exchanges]
    figure = Figure(figsize=(9, 1.4 + 0.2 * len(programs) * (1 + len(percents))), layout="constrained")
    axes: Axes = figure.add_subplot()
    height = 0.8 / len(percents)
    for number, percent in enumerate(percents):
        hooks = [hook for hook in answer.hooks if hook.sampled_percent == percent]
        places = [programs.index(hook.program) + height * (number - (len(percents) - 1) / 2) for hook in hooks]
        estimates = [hook.ns for hook in hooks]
        medians = [estimate.median for estimate in estimates]
        label = f"{percent} % sampled"
        colour = _COLOURS.get(percent, GREY)
        axes.barh(places, medians, height, xerr=list_bounds(estimates), color=colour, label=label, capsize=2)
    axes.grid(axis="x", alpha=0.3)
    axes.set_yticks(range(len(programs)), programs)
    axes.invert_yaxis()
    axes.set_xlabel("time of a run, ns (95 % interval)")
    axes.legend(frameon=False)
    return figure
