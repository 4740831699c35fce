"""Writes the report out of the results alone, so text and figures cannot differ. Pure: values in, Markdown out.

A question's section is a module of its own, report_<question>.py: here it has a line in SECTIONS.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from evaluation import report_clock, report_cost, report_faults, report_overlay, report_relocation, report_scale
from evaluation.results import Results


@dataclass(frozen=True)
class Section:
    """The place of a question in the report."""

    title: str
    name: str
    """Of the field of Results."""
    pictures: tuple[str, ...]
    """Stems of the plots' files, each an SVG and a PNG beside the report."""
    render: Callable[[Any], list[str]]
    """Takes the answer, returns the section's lines, without its heading."""


SECTIONS = (
    Section(
        "1. Does the relocation cost anything?",
        "relocation",
        report_relocation.PICTURES,
        report_relocation.render_relocation,
    ),
    Section("2. Is eBPF as good a clock as tcpdump?", "clock", report_clock.PICTURES, report_clock.render_clock),
    Section("3. What does it cost?", "cost", report_cost.PICTURES, report_cost.render_cost),
    Section("4. Does it find the cause?", "faults", report_faults.PICTURES, report_faults.render_faults),
    Section("5. Overlay or not", "overlay", report_overlay.PICTURES, report_overlay.render_overlay),
    Section("6. How do the costs grow?", "scale", report_scale.PICTURES, report_scale.render_scale),
)
"""In the order of the report."""

_INTRODUCTION = """\
# Evaluation

Written by `make evaluation` out of [results.json](results.json); do not edit. To measure anew, as root:
`make evaluation`, or `make evaluation QUICK=1 ONLY=faults` for less. `make evaluation RENDER=1` writes this page and
its plots from the results that are there. What a run needs and lacks is named before it begins.

Every comparison is the median over paired rounds, a run without and a run with what is compared, whose order
alternates; in brackets the 95 % confidence interval by bootstrap over the rounds. All times are in microseconds
unless the unit stands there.
"""


def render_report(results: Results) -> str:
    """Return the report; a question without an answer has a line that says so."""
    lines = [_INTRODUCTION]
    for section in SECTIONS:
        answer = getattr(results, section.name)
        lines += [f"## {section.title}", ""]
        lines += ["Not measured yet.", ""] if answer is None else section.render(answer)
    return "\n".join(lines)


def list_pictures(results: Results) -> list[str]:
    """Return the stems of the plots that the report of these results shows."""
    return [stem for section in SECTIONS if getattr(results, section.name) for stem in section.pictures]
