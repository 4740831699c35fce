"""Question 6's section of the report: each cost by size, what grows, and what found no room. Pure."""

from collections.abc import Iterator, Sequence

from evaluation.markdown import render_measured_on, render_picture
from evaluation.results_scale import Curve, Fill, ScaleResult
from evaluation.scale_curves import FIRST_POINT, IDLE, LOADED, MEMORY, SPAN, START, START_CPU, TRANSIT
from evaluation.values import Estimate

SCALE_PROBE = "scale_probe"
SCALE_PROBE_MEMORY = "scale_probe_memory"
SCALE_PLUGIN = "scale_plugin"
SCALE_PLUGIN_MEMORY = "scale_plugin_memory"
PICTURES = (SCALE_PROBE, SCALE_PROBE_MEMORY, SCALE_PLUGIN, SCALE_PLUGIN_MEMORY)
"""Stems of the plots' files, each an SVG and a PNG beside the report."""

LABELS = {
    START: "start",
    START_CPU: "start, CPU",
    MEMORY: "memory",
    IDLE: "idle",
    LOADED: "at work",
    FIRST_POINT: "kernel, first point",
    TRANSIT: "kernel, whole transit",
    SPAN: "network span",
}
"""What the report calls the curves."""

SMALL_GROWTH = 1.1
"""A ratio below it is no growth that anybody plans for."""

_PROBE = """\
**The probe.** One node with a bridge and 2 to 200 pods, each a network namespace with a veth. For each size of a
round an agent is started anew, left alone, and then given work; sizes go up in one round and down in the next. The
work is {rate} HTTP exchanges a second over the whole node ({transits} transits), by connections between all pods by
turns. Ratios are to the smallest size of the same round.

- **start**: from the command to the log line `ready`, when all points are attached, four a pod: s on the wall, which
  whoever shares the machine lengthens; **start, CPU**: the agent's and its compiling child's until then, in s.
- **idle**, **at work**: the agent's CPU, all threads, in ms a second; **memory**: resident, behind the work, in MiB.
- **kernel, first point**: ns in `pod_egress`, by the kernel's own run-time statistics, for each transit: requests and
  responses both begin there, and the pure acknowledgements that it sees too are charged to them. **Whole transit**:
  all programs. At so few packets a second nothing is in the caches: on a busy node it is less (`make bench-probe`).
"""

_PLUGIN = """\
**The plugin.** A process for each number of transits that came and that no span comes for, with the join as the
plugin has it; beside them exchanges of two nodes pass, four transits and fourteen network spans each. Time is CPU in
us for each network span, from read batch to span; reading and writing OTLP, which does not know how many wait, is not
in it. Memory is by how much the process grew.
"""


def render_scale(answer: ScaleResult) -> list[str]:
    """Return the section's lines, without its heading."""
    probe_text = _PROBE.format(rate=answer.exchanges_per_s, transits=2 * answer.exchanges_per_s)
    counts = (
        f"Probe: {answer.probe_rounds} rounds of all sizes, {answer.transits:,} transits; plugin: "
        f"{answer.plugin_rounds} rounds of all sizes; {answer.seconds:.0f} s in all."
    )
    lines = [probe_text, *_render_curves(answer.probe, "pods"), ""]
    lines += render_picture(SCALE_PROBE, "Cost of the probe against that with the fewest pods")
    lines += render_picture(SCALE_PROBE_MEMORY, "Memory of the agent by the number of pods")
    lines += [_PLUGIN, *_render_curves(answer.plugin, "transits that came"), "", *_render_fills(answer.fills), ""]
    lines += render_picture(SCALE_PLUGIN, "CPU of a network span against that with the fewest transits waiting")
    lines += render_picture(SCALE_PLUGIN_MEMORY, "Memory of the transits that wait")
    lines += ["### What comes out against us in scale", "", *(f"- {doubt}." for doubt in list_doubts(answer)), ""]
    return [*lines, *render_measured_on(counts, answer.head)]


def list_doubts(answer: ScaleResult) -> list[str]:
    """Return what speaks against us, a sentence each."""
    doubts = []
    for who, curves in (("pods", answer.probe), ("transits", answer.plugin)):
        for curve in curves:
            last = curve.ratios[-1]
            if last.low > 1 and last.median > SMALL_GROWTH:
                doubts.append(
                    f"{LABELS[curve.name]} grows to {format_ratio(last)} times from {curve.sizes[0]:,} to "
                    f"{curve.sizes[-1]:,} {who}"
                )
    if answer.lost:
        doubts.append(f"{answer.lost} of {answer.transits} transits were not sent")
    doubts += [
        f"of {fill.came:,} transits that came, {fill.displaced:,} found no room and are counted under "
        "`transits_full`: their hops are lost, even if their spans come"
        for fill in answer.fills
        if fill.displaced
    ]
    return doubts or ["Nothing in this run: no cost grows beyond chance and 10 %, and nothing was lost"]


def format_ratio(ratio: Estimate) -> str:
    """Return a ratio and its interval."""
    return f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"


def _render_curves(curves: Sequence[Curve], sizes: str) -> Iterator[str]:
    """Yield a table with a line for each size, and for each cost its value and its ratio."""
    yield f"| {sizes} | " + " | ".join(f"{LABELS[curve.name]}, {curve.unit} | ratio" for curve in curves) + " |"
    yield "|---" * (1 + 2 * len(curves)) + "|"
    for place, size in enumerate(curves[0].sizes):
        cells = (
            f"{_format_value(curve.values[place].median)} | {format_ratio(curve.ratios[place]) if place else 1}"
            for curve in curves
        )
        yield f"| {size:,} | " + " | ".join(cells) + " |"


def _render_fills(fills: Sequence[Fill]) -> Iterator[str]:
    yield "| transits that came | wait | found no room | memory grew, MiB |"
    yield "|---|---|---|---|"
    for fill in fills:
        yield f"| {fill.came:,} | {fill.waiting:,} | {fill.displaced:,} | {fill.grown_mib:.1f} |"


def _format_value(value: float) -> str:
    """Return three digits, more only before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits are enough
