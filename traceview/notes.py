"""Say in sentences what in a trace is not plain: marks, cut hops, points not seen, clocks. Pure."""

from collections.abc import Iterator

from traceview.span import Span
from traceview.text import format_short_us, make_visible
from traceview.tree import Row, Trace

MARK_ORPHAN = "?"
MARK_FAILED = "!"
MARK_INEXACT = "*"


def find_marks(row: Row) -> str:
    """Return the marks that a row carries, "" for a plain one."""
    marks = MARK_ORPHAN if row.is_orphan else ""
    marks += MARK_FAILED if row.span.failed else ""
    return marks + (MARK_INEXACT if row.span.clipped or row.span.missed else "")


def describe_trace(trace: Trace, unit: str) -> tuple[str, ...]:
    """Return a sentence for each thing to know about the whole trace; `unit` is how microseconds are written."""
    hops = [row.span for row in trace.rows if row.span.is_network]
    orphans = sum(row.is_orphan for row in trace.rows)
    failed = sum(row.span.failed for row in trace.rows)
    found = [
        (orphans, f"{MARK_ORPHAN} the parent is not among these spans ({orphans} of {len(trace.rows)})"),
        (failed, f"{MARK_FAILED} the span ended with an error ({failed} of {len(trace.rows)})"),
        (not hops, "no network hops: none of its messages was measured, or they are not here yet"),
    ]
    return (*(text for count, text in found if count), *_describe_hops(hops, unit))


def _describe_hops(hops: list[Span], unit: str) -> Iterator[str]:
    clipped = sum(hop.clipped for hop in hops)
    if clipped:
        yield f"{MARK_INEXACT} cut to lie inside the parent; the duration is uncut ({clipped} of {len(hops)} hops)"
    missed = dict.fromkeys(f"{make_visible(hop.name)} over {make_visible(hop.missed)}" for hop in hops if hop.missed)
    if missed:
        yield f"{MARK_INEXACT} a point was not seen, so two hops are one: {'; '.join(missed)}"
    again = max((hop.attempt for hop in hops), default=1)
    if again > 1:
        yield f"#2 and on: the message was sent again by TCP (up to {again} sendings)"
    yield from _describe_clocks(hops, unit)


def _describe_clocks(hops: list[Span], unit: str) -> Iterator[str]:
    sources = {hop.attributes.get("hopspan.clock.source") for hop in hops}
    bounds = [hop.attributes.get("hopspan.clock.uncertainty_ns") for hop in hops]
    widest = max((bound for bound in bounds if isinstance(bound, int)), default=0)
    if "measured" in sources:
        known = f"within {format_short_us(widest)} {unit}" if widest else "by the clocks' measured distance"
        yield f"one-way times between two nodes are known {known}; request and response together are exact"
    if "epoch" in sources:
        yield "hops of the far node are placed by its own wall clock"
