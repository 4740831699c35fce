"""Draws question 2: hops by both clocks, their difference, what each adds, and what each misses. Pure."""

from collections.abc import Sequence

from evaluation.drawing import BLUE, GREY, ORANGE, Figure, draw_changes, list_bounds, mark_zero, save, write_ticks
from evaluation.report_clock import CLOCK_HOPS, CLOCK_MISSED, CLOCK_OBSERVER, CLOCK_POINTS, HOPSPAN, TCPDUMP
from evaluation.results_clock import ClockResult, HopClocks, Missed, PointClocks

_COLUMNS = 4
_NOTHING = 0.01
"""Percent: the axis is linear below, so that nothing missed has a place on it."""


def draw_clock(answer: ClockResult) -> dict[str, bytes]:
    """Return the plots by file name."""
    return (
        save(CLOCK_HOPS, lambda: _draw_hops(answer))
        | save(CLOCK_POINTS, lambda: _draw_points(answer.points))
        | save(CLOCK_OBSERVER, lambda: _draw_observer(answer.hops))
        | save(CLOCK_MISSED, lambda: _draw_missed(answer.missed))
    )


def _draw_hops(answer: ClockResult) -> Figure:
    """Draw a panel a hop of the request: the share of packets that took no longer, by both clocks."""
    hops = [hop for hop in answer.hops if "(request" in hop.hop]
    rows = -(-len(hops) // _COLUMNS)
    figure = Figure(figsize=(3.1 * _COLUMNS, 2.9 * rows + 0.6), layout="constrained")
    figure.subplots(rows, _COLUMNS, sharex=True, sharey=True)
    panels = figure.axes
    for axes, hop in zip(panels, hops, strict=False):
        for times, colour, style, label in (
            (hop.hopspan_alone, BLUE, ":", "hopspan alone"),
            (hop.tcpdump_alone, ORANGE, ":", "tcpdump alone"),
            (hop.hopspan, BLUE, "-", "hopspan, the same packets"),
            (hop.tcpdump, ORANGE, "-", "tcpdump, the same packets"),
        ):
            axes.plot(times, answer.shares, color=colour, linestyle=style, label=label)
        axes.set_title(hop.hop.replace(" (request, ", " (").removesuffix(")") + ")", fontsize=10)
        axes.set_xscale("log")
        write_ticks(axes.xaxis)
        axes.tick_params(labelbottom=True)
        axes.grid(alpha=0.3)
    for axes in panels[len(hops) :]:
        axes.set_axis_off()
    panels[-1].legend(*panels[0].get_legend_handles_labels(), loc="center", frameon=False, fontsize=10)
    figure.supxlabel("time of the hop, us (logarithmic)")
    figure.supylabel("share of packets that took no longer")
    return figure


def _draw_points(points: Sequence[PointClocks]) -> Figure:
    """Draw for each point the median difference, and the range that 98 % of the packets have."""
    figure = Figure(figsize=(9, 1.2 + 0.34 * len(points)), layout="constrained")
    axes = figure.add_subplot()
    for is_leaving, colour, label in ((True, BLUE, "the packet leaves"), (False, ORANGE, "the packet comes in")):
        some = [(place, point) for place, point in enumerate(points) if point.is_leaving == is_leaving]
        places = [place for place, _ in some]
        axes.hlines(places, [p.low_us for _, p in some], [p.high_us for _, p in some], color=colour, alpha=0.5)
        medians = [point.bias_us.median for _, point in some]
        axes.plot(medians, places, "o", color=colour, label=f"{label}: median, and 1 % to 99 % of the packets")
    axes.set_xscale("symlog", linthresh=1.0)
    write_ticks(axes.xaxis)
    mark_zero(axes)
    axes.set_yticks(range(len(points)), [f"{point.point} ({point.direction})" for point in points])
    axes.invert_yaxis()
    axes.set_xlabel("hopspan's stamp less tcpdump's, us (linear within 1 us, logarithmic beyond)")
    figure.legend(loc="outside upper center", frameon=False, fontsize=9)
    return figure


def _draw_observer(hops: Sequence[HopClocks]) -> Figure:
    """Draw for each hop what either clock adds to it, as the other one sees it."""
    figure = Figure(figsize=(9, 1.4 + 0.42 * len(hops)), layout="constrained")
    axes = figure.add_subplot()
    pair = (
        ("hopspan adds, by tcpdump's clock", BLUE, [hop.by_hopspan_us for hop in hops]),
        ("tcpdump adds, by hopspan's clock", ORANGE, [hop.by_tcpdump_us for hop in hops]),
    )
    draw_changes(axes, [hop.hop for hop in hops], pair, 0.15)
    axes.set_xlabel("growth of the hop's median, us (95 % interval)")
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    return figure


def _draw_missed(missed: Sequence[Missed]) -> Figure:
    """Draw the share that each tool missed over the rate of requests."""
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for tool, colour, marker, what in ((HOPSPAN, BLUE, "o", "messages"), (TCPDUMP, ORANGE, "s", "packets")):
        some = sorted((one for one in missed if one.tool == tool), key=lambda one: one.rate.median)
        rates, percents = [one.rate.median for one in some], [one.percent for one in some]
        medians = [percent.median for percent in percents]
        bounds = list_bounds(percents)
        axes.errorbar(rates, medians, yerr=bounds, fmt=f"{marker}-", color=colour, label=f"{tool}: {what}", capsize=3)
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=_NOTHING)
    axes.axhline(0, color=GREY, linewidth=0.8)
    write_ticks(axes.xaxis)
    write_ticks(axes.yaxis)
    axes.set_xlim(500, 100_000)
    axes.set_ylim(bottom=-_NOTHING / 4, top=110)
    axes.set_xlabel("requests a second (logarithmic)")
    axes.set_ylabel("missed, % (95 % interval)")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure
