"""What the report's sections share: figures with their intervals, pictures, and what was measured on. Pure."""

from collections.abc import Iterator

from evaluation.values import Estimate, Head


def format_us(value_us: float) -> str:
    """Return microseconds without decimals, thousands apart; a tenth below ten."""
    return f"{value_us:,.1f}" if abs(value_us) < 10 else f"{value_us:,.0f}"  # noqa: PLR2004 - two digits are enough


def format_estimate(estimate: Estimate) -> str:
    """Return the median and its interval."""
    return f"{format_us(estimate.median)} ({format_us(estimate.low)} to {format_us(estimate.high)})"


def render_picture(stem: str, title: str) -> list[str]:
    """Return the lines that show a plot, of `stem`.svg beside the report."""
    return [f"![{title}]({stem}.svg)", ""]


def render_measured_on(counts: str, head: Head) -> Iterator[str]:
    """Yield the last part of a section: how much was measured, and on what."""
    yield "### Measured on"
    yield ""
    yield f"{'Quick run: ' if head.effort == 'quick' else ''}{counts}"
    yield ""
    yield f"- {head.cpu}, {head.cores} cores, load average {head.load_average} at the start, {head.time}"
    yield f"- Linux {head.kernel}"
    yield "- " + ", ".join(f"{name} {version}" for name, version in sorted(head.versions.items()))
    yield ""
