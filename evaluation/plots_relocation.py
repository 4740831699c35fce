"""Draws question 1: what the relocation changes, the latencies, the kernel's search, and fixed windows. Pure."""

from collections.abc import Sequence

from evaluation.drawing import BLUE, GREEN, GREY, ORANGE, Figure, save
from evaluation.relocation_claim import EQUIVALENT
from evaluation.relocation_runs import AGAIN, FIRST, LAST, QUANTILES, THROUGHPUT, UNTRACED, VARIANTS
from evaluation.report_relocation import (
    RELOCATION_LATENCY,
    RELOCATION_RATIO,
    RELOCATION_SEARCH,
    RELOCATION_WINDOWS,
)
from evaluation.results_relocation import Blocks, Measure, RelocationResult, SearchCost

_COLOURS = {LAST: ORANGE, AGAIN: GREEN, FIRST: BLUE, UNTRACED: GREY}
_MORE_IS_BETTER = " (more is better)"
_SHOWN_PERCENT = (40, 250)
_TICKS_PERCENT = (50, 60, 70, 80, 90, 100, 125, 150, 200)
"""On a scale of ratios, on which half and double are as far from the same."""

_MARKERS = {LAST: "s", AGAIN: "v", FIRST: "o", UNTRACED: "D"}


def draw_relocation(answer: RelocationResult) -> dict[str, bytes]:
    """Return the plots by file name."""
    return (
        save(RELOCATION_RATIO, lambda: _draw_ratios(answer.measures))
        | save(RELOCATION_LATENCY, lambda: _draw_latencies(answer.measures))
        | save(RELOCATION_SEARCH, lambda: _draw_search(answer.search))
        | save(RELOCATION_WINDOWS, lambda: _draw_windows(answer.blocks))
    )


def _draw_ratios(measures: Sequence[Measure]) -> Figure:
    """Draw each measure's ratio and the control's with intervals, and the band within which it would be no change."""
    figure = Figure(figsize=(9, 1.6 + 0.42 * len(measures)), layout="constrained")
    axes = figure.add_subplot()
    low, high = 100 * (1 - EQUIVALENT), 100 * (1 + EQUIVALENT)
    axes.axvspan(low, high, color=GREEN, alpha=0.15, label=f"no change: within {100 * EQUIVALENT:.0f} %")
    axes.axvline(100, color=GREY, linewidth=0.8)
    for variant, offset, ratios in (
        (FIRST, -0.15, [measure.relocation for measure in measures]),
        (AGAIN, 0.15, [measure.control for measure in measures]),
    ):
        axes.errorbar(
            [100 * ratio.median for ratio in ratios],
            [place + offset for place in range(len(ratios))],
            xerr=[
                [100 * (ratio.median - ratio.low) for ratio in ratios],
                [100 * (ratio.high - ratio.median) for ratio in ratios],
            ],
            fmt=_MARKERS[variant],
            color=_COLOURS[variant],
            capsize=3,
            markersize=5,
            label=variant,
        )
    axes.grid(axis="x", alpha=0.3)
    axes.set_xscale("log")
    axes.set_xlim(*_SHOWN_PERCENT)
    axes.set_xticks(_TICKS_PERCENT, [str(tick) for tick in _TICKS_PERCENT])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("% of context last (95 % interval)\nintervals may go on beyond the picture")
    names = [
        f"{measure.load}, {measure.level}: {measure.name}{_MORE_IS_BETTER if measure.name == THROUGHPUT else ''}"
        for measure in measures
    ]
    axes.set_yticks(range(len(measures)), names, fontsize=9)
    axes.invert_yaxis()
    axes.legend(loc="lower right", fontsize=9)
    return figure


def _draw_latencies(measures: Sequence[Measure]) -> Figure:
    """Draw a panel a load: for each level and quantile the variants' medians over rounds."""
    latencies = [measure for measure in measures if measure.name in QUANTILES]
    loads = list(dict.fromkeys(measure.load for measure in latencies))
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    panels = figure.subplots(1, len(loads) or 1, squeeze=False)[0]
    for axes, load in zip(panels, loads, strict=False):
        shown = [measure for measure in latencies if measure.load == load]
        for offset, variant in enumerate(VARIANTS):
            places = [place + 0.2 * (offset - 1.5) for place in range(len(shown))]
            medians = [measure.medians[variant] for measure in shown]
            axes.plot(places, medians, _MARKERS[variant], color=_COLOURS[variant], label=variant)
        axes.set_yscale("log", subs=[2, 5])
        for formatted in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            formatted("{x:g}")
        axes.tick_params(axis="y", which="minor", labelsize=8)
        axes.grid(axis="y", which="both", alpha=0.3)
        axes.set_title(load, fontsize=11)
        axes.set_xticks(range(len(shown)), [f"{measure.name}\n{measure.level}" for measure in shown], fontsize=9)
        axes.set_xlabel("quantile, at a share of saturation")
    panels[0].set_ylabel("latency from the intended sending, ms")
    handles, labels = panels[-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(VARIANTS), frameon=False, fontsize=9)
    return figure


def _draw_search(costs: Sequence[SearchCost]) -> Figure:
    """Draw the kernel's time over the header block's size, with the context at the head and at the end."""
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.add_subplot()
    sizes = [cost.size_bytes for cost in costs]
    axes.plot(sizes, [cost.at_end_ns for cost in costs], "s-", color=ORANGE, label="context at the end")
    axes.plot(sizes, [cost.at_head_ns for cost in costs], "o-", color=BLUE, label="context at the head")
    several = [cost.size_bytes for cost in costs if cost.segments > 1]
    if several:
        axes.axvspan(min(several), max(several), color=GREY, alpha=0.12, label="several segments")
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes], fontsize=9)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.set_xlabel("header block, bytes")
    axes.set_ylabel("kernel time for a request, ns")
    axes.legend(frameon=False, fontsize=9)
    return figure


def _draw_windows(described: Sequence[Blocks]) -> Figure:
    """Draw for each window the share of requests that it would read, by variant."""
    figure = Figure(figsize=(7.5, 4.0), layout="constrained")
    axes = figure.add_subplot()
    windows: list[int] = []
    for offset, blocks in enumerate(described):
        windows = list(blocks.shares)
        places = [place + 0.38 * (offset - 0.5) for place in range(len(windows))]
        shares = [100 * share for share in blocks.shares.values()]
        bars = axes.bar(places, shares, 0.36, color=_COLOURS[blocks.variant], label=blocks.variant)
        axes.bar_label(bars, fmt="%.0f", fontsize=9)
    axes.set_xticks(range(len(windows)), [str(window) for window in windows])
    axes.set_ylim(0, 110)
    axes.set_xlabel("fixed window, first bytes of the packet's payload")
    axes.set_ylabel("requests whose context is read, %")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False, fontsize=9)
    return figure
