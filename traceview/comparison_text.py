"""Write a comparison as lines of a table for people. Pure; counts cells of text without wide characters.

Where a line has no room for the verdicts they stand in lines of their own below it.
"""

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from traceview.comparison import SHARES, Comparison, Row, Shift, Side, Verdict
from traceview.hop_samples import ALL_HOPS, BOTH_WAYS, EVERYWHERE
from traceview.text import format_us, make_visible
from traceview.waterfall import Glyphs

INDENT = "  "
GAP = "  "

MIN_NAME_CELLS = 16
"""The longest name of a usual hop, `host-forward`, with its arrow and a little more."""


class Line(msgspec.Struct, frozen=True):
    """One line; the verdict that colours it, None for plain text."""

    text: str
    verdict: Verdict | None = None


def write_comparison(comparison: Comparison, sides: tuple[Side, Side], width: int, glyphs: Glyphs) -> Iterator[Line]:
    """Yield the lines: what was compared (before, after), the table, and what to know about it."""
    for label, side in zip(("before", "after "), sides, strict=True):
        yield Line(f"{label}  {make_visible(side.name)}: {side.held.hops} hops in {side.held.traces} traces")
        for note in side.notes:
            yield from (Line(line) for line in textwrap.wrap(INDENT + note, width, subsequent_indent=2 * INDENT))
    if comparison.rows:
        yield Line("")
        yield from _write_table(comparison, width, glyphs)
    yield Line("")
    yield from (Line(text) for text in _describe_method(comparison))


def _write_table(comparison: Comparison, width: int, glyphs: Glyphs) -> Iterator[Line]:
    names = _name_rows(comparison.rows, glyphs)
    heads = ("before", "after") * (1 + len(SHARES))
    figures = [_list_figures(row) for row in comparison.rows]
    cells = [max(len(text) for text in column) for column in zip(heads, *figures, strict=True)]
    room = width - sum(cells) - len(GAP) * len(cells)
    name_cells = min(max(map(len, names)), max(MIN_NAME_CELLS, room))
    notes = [_list_verdicts(row) for row in comparison.rows]
    spare = room - name_cells - len(GAP)
    is_beside = all(len(f"{GAP}".join(text for text, _ in found)) <= spare for found in notes)
    titles = [text for title in ("count", *(f"{name} us" for name in SHARES)) for text in ("", title)]
    yield Line(_align("", name_cells, titles, cells))
    yield Line(_align("hop", name_cells, heads, cells) + (f"{GAP}difference" if is_beside else ""))
    nodes = EVERYWHERE
    for row, name, shown, found in zip(comparison.rows, names, figures, notes, strict=True):
        if row.key.nodes != nodes:
            nodes = row.key.nodes
            yield Line(make_visible(nodes))
        line = _align(_fit(name, name_cells, glyphs), name_cells, shown, cells)
        if is_beside:
            yield Line(line + GAP + GAP.join(text for text, _ in found), _pick_verdict(row))
        else:
            yield Line(line)
            yield from (Line(f"{INDENT}{INDENT}{text}", verdict) for text, verdict in found)


def _name_rows(rows: Sequence[Row], glyphs: Glyphs) -> list[str]:
    """Return the hops' names; of those that come twice in a direction, with the devices that they lead between."""
    counts = Counter((row.key.nodes, row.key.direction, row.key.name) for row in rows)
    arrows = {"request": glyphs.request, "response": glyphs.response}
    names = []
    for row in rows:
        key = row.key
        is_twice = counts[key.nodes, key.direction, key.name] > 1 and key.end
        way = f" {_shorten_point(key.start)}>{_shorten_point(key.end)}" if is_twice else ""
        both = ", both ways" if key.direction == BOTH_WAYS and key.name not in ALL_HOPS else ""
        names.append(f"{arrows.get(key.direction, '=')} {make_visible(key.name)}{way}{both}")
    return names


def _shorten_point(point: str) -> str:
    """Return a point without its direction, which the order of the two points tells."""
    return make_visible(point.replace("-ingress", "").replace("-egress", "").replace(" > ", ">"))


def _list_figures(row: Row) -> tuple[str, ...]:
    times = ((shift.before_ns, shift.after_ns) for shift in row.shifts.values())
    return (
        str(row.before_count),
        str(row.after_count),
        *(format_us(time_ns) if time_ns is not None else "-" for pair in times for time_ns in pair),
    )


def _list_verdicts(row: Row) -> list[tuple[str, Verdict]]:
    """Return the first quantile's verdict, and of the others those that say something."""
    quiet = (Verdict.NOT_SEEN, Verdict.TOO_FEW, Verdict.ONLY_BEFORE, Verdict.ONLY_AFTER)
    found = []
    for at, (name, shift) in enumerate(row.shifts.items()):
        if at == 0 or shift.verdict not in quiet:
            label = f"{name} " if at or shift.verdict not in quiet else ""
            found.append((label + describe_shift(shift), shift.verdict))
    return found


def describe_shift(shift: Shift) -> str:
    """Return the verdict in words, with its interval in microseconds."""
    if shift.interval_ns is None or shift.difference_ns is None:
        return str(shift.verdict)
    lowest, highest = shift.interval_ns
    if shift.verdict is Verdict.NOT_SEEN:
        return f"{shift.verdict} ({_format_signed(lowest)} to {_format_signed(highest)} us)"
    ends = sorted((abs(lowest), abs(highest)))
    by = f"{format_us(abs(shift.difference_ns))} us ({format_us(ends[0])} to {format_us(ends[1])})"
    return f"{shift.verdict} by {by}"


def _format_signed(time_ns: int) -> str:
    return f"-{format_us(-time_ns)}" if time_ns < 0 else format_us(time_ns)


def _pick_verdict(row: Row) -> Verdict:
    """Return the verdict of the quantile that says most."""
    verdicts = [shift.verdict for shift in row.shifts.values()]
    loud = (found for found in verdicts if found in (Verdict.SLOWER, Verdict.FASTER))
    return next(loud, verdicts[0])


def _align(name: str, name_cells: int, texts: Sequence[str], cells: Sequence[int]) -> str:
    return name.ljust(name_cells) + "".join(GAP + text.rjust(width) for text, width in zip(texts, cells, strict=True))


def _fit(name: str, cells: int, glyphs: Glyphs) -> str:
    return name if len(name) <= cells else name[: cells - 1] + glyphs.ellipsis


def _describe_method(comparison: Comparison) -> Iterator[str]:
    if not comparison.rows:
        yield "no hops: nothing to compare"
        return
    percent = f"{100 * comparison.confidence:g} %"
    yield f"In brackets: where the true difference lies; {percent} sure of all {comparison.comparisons} together."
    if comparison.rows_left_out:
        yield f"{comparison.rows_left_out} ways left out, those with the fewest hops"
