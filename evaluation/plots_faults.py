"""Draws question 4: each fault's delay against the truth, and where it shows. Pure."""

from collections.abc import Callable, Sequence

from evaluation.drawing import BLUE, GREY, ORANGE, Axes, Figure, list_bounds, mark_zero, save
from evaluation.report_faults import FAULTS_AGAINST_TRUTH, FAULTS_WHERE
from evaluation.results_faults import FaultResult, FaultsResult
from evaluation.values import Estimate

_Pick = Callable[[FaultResult], Estimate]

_FEW_TICKS_US = (0, 100, 10_000)
_LINEAR_US = 10.0
"""Below it the axis is linear: growths may be nothing, or negative by chance."""


def draw_faults(answer: FaultsResult) -> dict[str, bytes]:
    """Return the plots by file name."""
    faults = answer.faults
    return save(FAULTS_AGAINST_TRUTH, lambda: _draw_against_truth(faults)) | save(
        FAULTS_WHERE, lambda: _draw_where(faults)
    )


def _draw_against_truth(faults: Sequence[FaultResult]) -> Figure:
    """Draw for each fault the true delay, the measured one and the growth of Jaeger's gap, with their intervals."""
    figure = Figure(figsize=(9, 1.6 + 0.75 * len(faults)), layout="constrained")
    axes = figure.add_subplot()
    series: Sequence[tuple[str, str, str, _Pick]] = (
        ("true delay", "D", GREY, lambda fault: fault.true_us),
        ("measured: the segments that grew", "o", BLUE, lambda fault: fault.measured_us),
        ("Jaeger alone: CLIENT less SERVER", "s", ORANGE, lambda fault: fault.gap_us),
    )
    for offset, (label, marker, colour, pick) in enumerate(series):
        estimates = [pick(fault) for fault in faults]
        medians = [estimate.median for estimate in estimates]
        bounds = list_bounds(estimates)
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
        colours = [BLUE if segment in fault.expected else GREY for segment in segments]
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
    mark_zero(axes)
