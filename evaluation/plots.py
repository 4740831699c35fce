"""Draws the plots out of the results: one idea each, axes with units. The only module that imports matplotlib.

The same results give the same bytes of SVG.
"""

from collections.abc import Callable, Sequence
from io import BytesIO

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.report import FAULTS_AGAINST_TRUTH, FAULTS_WHERE
from evaluation.results import Estimate, FaultResult, Results

_STYLE = {
    "font.size": 11,
    "svg.hashsalt": "hopspan",  # else ids of elements are drawn by lot
    "svg.fonttype": "path",  # looks the same wherever it is shown
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_PNG_DOTS_PER_INCH = 110
_BLUE, _ORANGE, _GREY = "#0072b2", "#d55e00", "#777777"  # told apart by the colour-blind too (Okabe and Ito)
_FEW_TICKS_US = (0, 100, 10_000)
_LINEAR_US = 10.0
"""Below it the axis is linear: growths may be nothing, or negative by chance."""


def draw_plots(results: Results) -> dict[str, bytes]:
    """Return the plots by file name: an SVG and a PNG each."""
    drawn: dict[str, bytes] = {}
    if results.faults is not None:
        faults = results.faults.faults
        drawn |= _save(FAULTS_AGAINST_TRUTH, lambda: _draw_against_truth(faults))
        drawn |= _save(FAULTS_WHERE, lambda: _draw_where(faults))
    return drawn


def _save(stem: str, draw: Callable[[], Figure]) -> dict[str, bytes]:
    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]  # its stubs name the keys one by one
        figure = draw()
        svg, png = BytesIO(), BytesIO()
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
        figure.savefig(png, format="png", dpi=_PNG_DOTS_PER_INCH, metadata={"Software": None})
    return {f"{stem}.svg": svg.getvalue(), f"{stem}.png": png.getvalue()}


def _draw_against_truth(faults: Sequence[FaultResult]) -> Figure:
    """Draw for each fault the true delay, the measured one and the growth of Jaeger's gap, with their intervals."""
    figure = Figure(figsize=(9, 1.6 + 0.75 * len(faults)), layout="constrained")
    axes = figure.add_subplot()
    series: Sequence[tuple[str, str, str, Callable[[FaultResult], Estimate]]] = (
        ("true delay", "D", _GREY, lambda fault: fault.true_us),
        ("measured: the segments that grew", "o", _BLUE, lambda fault: fault.measured_us),
        ("Jaeger alone: CLIENT less SERVER", "s", _ORANGE, lambda fault: fault.gap_us),
    )
    for offset, (label, marker, colour, pick) in enumerate(series):
        estimates = [pick(fault) for fault in faults]
        medians = [estimate.median for estimate in estimates]
        bounds = [
            [estimate.median - estimate.low for estimate in estimates],
            [estimate.high - estimate.median for estimate in estimates],
        ]
        places = [place + 0.22 * (offset - 1) for place in range(len(faults))]
        axes.errorbar(medians, places, xerr=bounds, fmt=marker, color=colour, label=label, capsize=3, markersize=7)
    _scale_growth(axes)
    axes.set_xlabel("growth with the fault, us (95 % interval)")
    axes.set_yticks(range(len(faults)), [fault.name for fault in faults])
    axes.invert_yaxis()
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.12), ncols=3, frameon=False, fontsize=9)
    return figure


def _draw_where(faults: Sequence[FaultResult]) -> Figure:
    """Draw a panel a fault with the growth of every segment as a bar; those that should grow in another colour."""
    segments = list(dict.fromkeys(growth.segment for fault in faults for growth in fault.growths))
    figure = Figure(figsize=(3.4 + 1.7 * len(faults), 1.2 + 0.32 * len(segments)), layout="constrained")
    panels = figure.subplots(1, len(faults), sharex=True, sharey=True, squeeze=False)[0]
    for axes, fault in zip(panels, faults, strict=True):
        growths = {growth.segment: growth.growth_us.median for growth in fault.growths}
        colours = [_BLUE if segment in fault.expected else _GREY for segment in segments]
        axes.barh(range(len(segments)), [growths.get(segment, 0.0) for segment in segments], color=colours)
        _scale_growth(axes)
        axes.set_title(fault.name, fontsize=10)
        axes.set_xticks(_FEW_TICKS_US, [f"{tick:,}" for tick in _FEW_TICKS_US], fontsize=8)
    panels[0].set_yticks(range(len(segments)), segments)
    panels[0].invert_yaxis()
    figure.supxlabel("growth with the fault, us (blue: where the fault is)")
    return figure


def _scale_growth(axes: Axes) -> None:
    axes.set_xscale("symlog", linthresh=_LINEAR_US)
    axes.axvline(0, color=_GREY, linewidth=0.8)
    axes.grid(axis="x", alpha=0.3)
