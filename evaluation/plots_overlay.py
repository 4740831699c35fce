"""Draws question 5: each hop by each way, and what thousands of services add. Pure."""

from collections.abc import Sequence

from evaluation.drawing import BLUE, GREEN, GREY, ORANGE, Axes, Figure, mark_zero, save
from evaluation.overlay_calls import HOST_GW, SAME_NODE, VXLAN, name_hops
from evaluation.overlay_rounds import BEFORE, CONNECT, FEW, KEPT, MANY, NETWORK, NEW, SILENT, WAYS
from evaluation.report_overlay import OVERLAY_HOPS, OVERLAY_SERVICES
from evaluation.results_overlay import Case, Difference, OverlayResult, find_time
from evaluation.values import Estimate

_STYLES = {VXLAN: (BLUE, "o"), HOST_GW: (ORANGE, "s"), SAME_NODE: (GREEN, "^")}
_CONNECTIONS = {KEPT: (GREY, "o"), SILENT: (BLUE, "^"), NEW: (ORANGE, "s")}
_ROWS = (NETWORK, BEFORE, CONNECT)
_APART = 0.24
"""Of a row's height, between the marks of one row."""


def draw_overlay(answer: OverlayResult) -> dict[str, bytes]:
    """Return the plots by file name."""
    cases = {case.way: case for case in answer.cases if (case.connection, case.services) == (KEPT, FEW)}
    return save(OVERLAY_HOPS, lambda: _draw_hops([cases[way] for way in WAYS])) | save(
        OVERLAY_SERVICES, lambda: _draw_services(answer.by_services)
    )


def _draw_hops(cases: Sequence[Case]) -> Figure:
    """Draw a row for each hop of the longest way, with a mark for each way that has it."""
    names = name_hops(VXLAN)
    figure = Figure(figsize=(8.5, 1.4 + 0.42 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    for offset, case in enumerate(cases):
        found = {name: time for name in names if (time := find_time(case, name)) is not None}
        rows = [names.index(name) + _APART * (offset - 1) for name in found]
        colour, marker = _STYLES[case.way]
        _mark(axes, list(found.values()), rows, (colour, marker, case.way))
    axes.set_xlim(left=0)
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel(f"time of the hop, us (median, 95 % interval; {FEW} services, kept connections)")
    axes.set_yticks(range(len(names)), names)
    axes.axhline(len(names) / 2 - 0.5, color=GREY, linewidth=0.8, linestyle=":")
    axes.invert_yaxis()
    axes.legend(frameon=False)
    return figure


def _draw_services(differences: Sequence[Difference]) -> Figure:
    """Draw a panel for each way: what grew with the services, by kind of connection."""
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    panels = figure.subplots(1, len(WAYS), sharex=True, sharey=True, squeeze=False)[0]
    for axes, way in zip(panels, WAYS, strict=True):
        for offset, (connection, (colour, marker)) in enumerate(_CONNECTIONS.items()):
            more = {one.what: one.more_us for one in differences if (one.second, one.connection) == (way, connection)}
            if not more:
                continue
            rows = [place + _APART * (offset - 1) for place in range(len(_ROWS))]
            _mark(axes, [more[what] for what in _ROWS], rows, (colour, marker, f"connections {connection}"))
        mark_zero(axes)
        axes.set_title(way, fontsize=11)
    panels[0].set_yticks(range(len(_ROWS)), _ROWS)
    panels[0].invert_yaxis()
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    figure.supxlabel(f"more with {MANY:,} services than with {FEW}, us (95 % interval)")
    return figure


def _mark(axes: Axes, times: Sequence[Estimate], rows: Sequence[float], style: tuple[str, str, str]) -> None:
    colour, marker, label = style
    medians = [time.median for time in times]
    bounds = [[time.median - time.low for time in times], [time.high - time.median for time in times]]
    axes.errorbar(medians, rows, xerr=bounds, fmt=marker, color=colour, label=label, capsize=3, markersize=6)
