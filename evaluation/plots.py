"""Draws all plots of the results: each question's in a module of its own, plots_<question>.py, with a line here."""

from collections.abc import Callable
from typing import Any

from evaluation import plots_clock, plots_cost, plots_faults, plots_overlay, plots_relocation, plots_scale
from evaluation.results import Results

DRAWERS: dict[str, Callable[[Any], dict[str, bytes]]] = {
    "relocation": plots_relocation.draw_relocation,
    "clock": plots_clock.draw_clock,
    "cost": plots_cost.draw_cost,
    "faults": plots_faults.draw_faults,
    "scale": plots_scale.draw_scale,
    "overlay": plots_overlay.draw_overlay,
}
"""By the field of Results that holds the answer."""


def draw_plots(results: Results) -> dict[str, bytes]:
    """Return the plots by file name: an SVG and a PNG each; none of a question without an answer."""
    drawn: dict[str, bytes] = {}
    for name, draw in DRAWERS.items():
        answer = getattr(results, name)
        if answer is not None:
            drawn |= draw(answer)
    return drawn
