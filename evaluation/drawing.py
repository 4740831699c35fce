"""What all plots share: style, colours, and the way to bytes. The only module that imports matplotlib.

The same drawing gives the same bytes of SVG.
"""

from collections.abc import Callable, Sequence
from io import BytesIO

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure

from evaluation.values import Estimate

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "ORANGE",
    "Axes",
    "Figure",
    "Pair",
    "draw_changes",
    "list_bounds",
    "mark_zero",
    "save",
    "write_ticks",
]

_STYLE = {
    "font.size": 11,
    "svg.hashsalt": "hopspan",  # else ids of elements are drawn by lot
    "svg.fonttype": "path",  # looks the same wherever it is shown
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_PNG_DOTS_PER_INCH = 110

# Told apart by the colour-blind too (Okabe and Ito).
BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#777777"


def save(stem: str, draw: Callable[[], Figure]) -> dict[str, bytes]:
    """Return the drawn figure by file name: an SVG and a PNG."""
    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]  # its stubs name the keys one by one
        figure = draw()
        svg, png = BytesIO(), BytesIO()
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
        figure.savefig(png, format="png", dpi=_PNG_DOTS_PER_INCH, metadata={"Software": None})
    return {f"{stem}.svg": svg.getvalue(), f"{stem}.png": png.getvalue()}


def mark_zero(axes: Axes) -> None:
    """Draw a line where nothing has changed, and a grid across it."""
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.grid(axis="x", alpha=0.3)


def list_bounds(estimates: Sequence[Estimate]) -> list[list[float]]:
    """Return how far the intervals reach below and above their medians."""
    below = [estimate.median - estimate.low for estimate in estimates]
    return [below, [estimate.high - estimate.median for estimate in estimates]]


Pair = tuple[tuple[str, str, Sequence[Estimate]], tuple[str, str, Sequence[Estimate]]]
"""Two series, each its label, its colour, and an estimate for each row."""


def draw_changes(axes: Axes, names: Sequence[str], pair: Pair, spread: float) -> None:
    """Draw a row for each name, first on top: both medians and intervals, beside the line of no change.

    `spread` is how far from the row's middle they stand, in rows.
    """
    for offset, (label, colour, estimates) in zip((-spread, spread), pair, strict=True):
        places = [place + offset for place in range(len(names))]
        medians = [estimate.median for estimate in estimates]
        axes.errorbar(medians, places, xerr=list_bounds(estimates), fmt="o", color=colour, label=label, capsize=3)
    mark_zero(axes)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()


def write_ticks(axis: Axis) -> None:
    """Write the numbers of a logarithmic axis as numbers, at powers of ten alone."""
    axis.set_major_formatter("{x:,g}")
    axis.set_minor_formatter(lambda *_: "")
