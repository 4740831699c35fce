"""Question 4's section of the report: each fault's true and measured delay, and what speaks against us. Pure."""

from collections.abc import Iterator, Sequence

from evaluation.markdown import format_estimate, format_us, render_measured_on, render_picture
from evaluation.results_faults import FaultResult, FaultsResult

FAULTS_AGAINST_TRUTH = "faults_against_truth"
FAULTS_WHERE = "faults_where"
PICTURES = (FAULTS_AGAINST_TRUTH, FAULTS_WHERE)
"""Stems of the plots' files, each an SVG and a PNG beside the report."""

SMALL_ERROR = 0.1
"""Of the true delay: an error below it would send nobody to a wrong place, nor one below SMALL_ERROR_US."""

SMALL_ERROR_US = 100.0

_TEXT = """\
Faults are put into the testbed one at a time, where a user would have them: two nodes, VXLAN, services behind
Envoy sidecars; frontend on node-1 asks cart on node-2. The whole chain runs throughout: node-probe on both
nodes, collector-plugin, traces. The application's CLIENT span is divided into segments that follow each other:
the client's pod, each hop of the request, the server's pod, each hop of the response, the client's pod again.
*Jaeger alone* is what the application's own spans show: CLIENT less SERVER, one gap, without a place in it.

- **True delay**: by an account that is not hopspan's (see below the table).
- **Grew**: the segment that grew most, and those that grew at least half as much, all beyond chance.
- **Measured**: by how much these and the expected ones (bold below) grew together, call by call. **Error**: measured
  less true, round by round.
"""


def render_faults(answer: FaultsResult) -> list[str]:
    """Return the section's lines, without its heading."""
    counts = (
        f"{answer.rounds} rounds a fault, each of two runs of {answer.requests_per_run} requests; "
        f"{answer.seconds:.0f} s in all."
    )
    lines = [_TEXT, *_render_table(answer.faults), "", *_render_truths(answer.faults), ""]
    lines += render_picture(FAULTS_AGAINST_TRUTH, "Measured growth against the true one, and what Jaeger alone shows")
    lines += render_picture(FAULTS_WHERE, "Where each fault shows: the growth of every segment")
    lines += ["### What comes out against us", "", *_render_doubts(answer.faults), ""]
    lines += ["### Every segment", "", *_render_segments(answer.faults)]
    return [*lines, *render_measured_on(counts, answer.head)]


def list_doubts(fault: FaultResult) -> list[str]:
    """Return what speaks against us in a fault, a sentence each."""
    doubts = []
    others = [name for name in fault.found if name not in fault.expected]
    if fault.missed:
        doubts.append(f"did not grow as it should: {', '.join(fault.missed)}")
    if others:
        doubts.append(f"grew though it should not: {', '.join(others)}")
    error = fault.error_us
    is_beyond_chance = error.low > 0 or error.high < 0
    if is_beyond_chance and abs(error.median) > max(SMALL_ERROR_US, SMALL_ERROR * abs(fault.true_us.median)):
        share = 100 * error.median / fault.true_us.median if fault.true_us.median else 0.0
        doubts.append(f"the measured delay is off by {format_us(error.median)} us, {share:+.0f} % of the true one")
    if fault.incomplete:
        doubts.append(f"{fault.incomplete} of {fault.requests} requests did not show all their hops")
    if fault.unnumbered:
        doubts.append(
            f"{fault.unnumbered} of {fault.requests} requests were sent again and their hops do not say so "
            "(`hopspan.attempt`)"
        )
    return doubts


def _render_table(faults: Sequence[FaultResult]) -> Iterator[str]:
    yield "| fault | true delay | grew | measured | error | Jaeger alone: the gap grew by |"
    yield "|---|---|---|---|---|---|"
    for fault in faults:
        grew = "<br>".join(fault.found) or "nothing"
        figures = (fault.measured_us, fault.error_us, fault.gap_us)
        cells = " | ".join(map(format_estimate, figures))
        yield f"| {fault.name} | {format_estimate(fault.true_us)} | {grew} | {cells} |"


def _render_truths(faults: Sequence[FaultResult]) -> Iterator[str]:
    for fault in faults:
        yield f"- **{fault.name}**: {fault.cause}. True delay: {fault.truth}."


def _render_doubts(faults: Sequence[FaultResult]) -> list[str]:
    doubts = [f"- **{fault.name}**: {doubt}." for fault in faults for doubt in list_doubts(fault)]
    no_doubt = (
        "Nothing in this run: exactly the expected segments grew, every request showed all its hops, and no error is "
        f"both beyond chance and more than {SMALL_ERROR:.0%} of the true delay and {SMALL_ERROR_US:.0f} us."
    )
    return doubts or [no_doubt]


def _render_segments(faults: Sequence[FaultResult]) -> Iterator[str]:
    for fault in faults:
        yield f"#### {fault.name[0].upper()}{fault.name[1:]}"
        yield ""
        yield "| segment | without | with | growth |"
        yield "|---|---|---|---|"
        for growth in fault.growths:
            cells = (format_us(growth.without_us), format_us(growth.with_us), format_estimate(growth.growth_us))
            name = f"**{growth.segment}**" if growth.segment in fault.expected else growth.segment
            yield f"| {name} | {' | '.join(cells)} |"
        yield ""
