"""Draws question 6: costs over sizes, times as ratios to the smallest size, memory as it is. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from evaluation.drawing import BLUE, GREEN, GREY, ORANGE, Axes, Figure, save
from evaluation.report_scale import LABELS, SCALE_PLUGIN, SCALE_PLUGIN_MEMORY, SCALE_PROBE, SCALE_PROBE_MEMORY
from evaluation.results_scale import Curve, Fill, ScaleResult
from evaluation.scale_curves import FIRST_POINT, IDLE, LOADED, MEMORY, SPAN, START
from evaluation.values import Estimate

_SHOWN = {START: (BLUE, "o"), IDLE: (GREY, "D"), LOADED: (ORANGE, "s"), FIRST_POINT: (GREEN, "^")}
"""Of the probe's times; the rest is in the table."""

_ALONE = {"color": BLUE, "marker": "o"}
_SIZE = (7.5, 4.5)
_HEADROOM = 1.2
_SHIFT = 1.2
"""Pods by which neighbouring curves stand apart, or their intervals would hide each other."""


def draw_scale(answer: ScaleResult) -> dict[str, bytes]:
    """Return the plots by file name."""
    probe = {curve.name: curve for curve in answer.probe}
    plugin = {curve.name: curve for curve in answer.plugin}
    return (
        save(SCALE_PROBE, lambda: _draw_probe([probe[name] for name in _SHOWN]))
        | save(SCALE_PROBE_MEMORY, lambda: _draw_probe_memory(probe[MEMORY]))
        | save(SCALE_PLUGIN, lambda: _draw_plugin(plugin[SPAN]))
        | save(SCALE_PLUGIN_MEMORY, lambda: _draw_plugin_memory(answer.fills))
    )


def _draw_probe(curves: Sequence[Curve]) -> Figure:
    figure, axes = _open()
    for place, curve in enumerate(curves):
        colour, marker = _SHOWN[curve.name]
        shift = _SHIFT * (place - (len(curves) - 1) / 2)
        style = {"color": colour, "marker": marker, "label": LABELS[curve.name]}
        _draw_curve(axes, [size + shift for size in curve.sizes], curve.ratios, style)
    axes.axhline(1, color=GREY, linewidth=0.8)
    axes.set_xlabel("pods on the node")
    axes.set_ylabel(f"ratio to {curves[0].sizes[0]} pods (95 % interval)")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=9, ncols=2)
    return figure


def _draw_probe_memory(curve: Curve) -> Figure:
    figure, axes = _open()
    _draw_curve(axes, curve.sizes, curve.values, _ALONE)
    axes.set_xlabel("pods on the node")
    axes.set_ylabel("resident memory of the agent, MiB (95 % interval)")
    axes.set_ylim(0, _HEADROOM * max(value.high for value in curve.values))
    return figure


def _draw_plugin(curve: Curve) -> Figure:
    figure, axes = _open()
    _draw_curve(axes, curve.sizes, curve.ratios, _ALONE)
    axes.axhline(1, color=GREY, linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xlabel("transits that came and that no span comes for")
    axes.set_ylabel(f"CPU of a network span,\nratio to {curve.sizes[0]:,} transits (95 % interval)")
    axes.set_ylim(bottom=0)
    return figure


def _draw_plugin_memory(fills: Sequence[Fill]) -> Figure:
    figure, axes = _open()
    axes.plot([fill.came for fill in fills], [fill.grown_mib for fill in fills], marker="o", color=BLUE)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("transits that came and that no span comes for")
    axes.set_ylabel("memory that they take, MiB")
    for fill in fills:
        if fill.displaced:
            axes.annotate(
                f"{fill.waiting:,} wait,\n{fill.displaced:,} found no room",
                (fill.came, fill.grown_mib),
                xytext=(0, -34),
                textcoords="offset points",
                ha="right",
                fontsize=9,
            )
    return figure


def _open() -> tuple[Figure, Axes]:
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.grid(alpha=0.3)
    return figure, axes


def _draw_curve(axes: Axes, places: Sequence[float], estimates: Sequence[Estimate], style: Mapping[str, Any]) -> None:
    medians = [estimate.median for estimate in estimates]
    bounds = [
        [estimate.median - estimate.low for estimate in estimates],
        [estimate.high - estimate.median for estimate in estimates],
    ]
    axes.errorbar(places, medians, yerr=bounds, capsize=3, markersize=6, **style)
