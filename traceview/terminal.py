"""Draw traces in a terminal: a waterfall and the breakdown of each exchange. The only module that imports rich.

Without colour, and in an encoding without block glyphs, the drawing stays readable: hops have glyphs of their own.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence

import msgspec
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from traceview.breakdown import Breakdown, break_down
from traceview.notes import describe_trace, find_marks
from traceview.span import Direction
from traceview.text import format_short_us, format_us, make_visible, percent
from traceview.tree import NO_PARENT, Row, Trace
from traceview.waterfall import Columns, Glyphs, draw_axis, draw_bar, draw_guides, pick_glyphs, share_columns, shares

SERVICE_STYLES = ("cyan", "green", "blue", "yellow", "bright_cyan", "bright_green", "bright_blue")
"""No red, which means an error elsewhere, and no magenta, which is the network's."""

NETWORK_STYLE = "bold magenta"

PIPE_CELLS = 120
"""Where nothing says how wide: wide enough for names and nodes, and what mails and tickets still show."""

MIN_CELLS = 40
"""Below it no bar has room; a narrower terminal breaks the lines."""


class _Line(msgspec.Struct, frozen=True):
    """The texts of one row before they are fitted into columns."""

    name: str
    node: str
    device: str
    duration: str
    style: str
    is_network: bool


class _PipeConsole(Console):
    """A console that lets the program know that nobody reads any more."""

    def on_broken_pipe(self) -> None:
        raise  # noqa: PLE0704 - rich calls this in its handler of BrokenPipeError


def open_console() -> Console:
    """Return the console of standard output: in a pipe without colours and PIPE_CELLS wide.

    The environment's COLUMNS and NO_COLOR count, as rich has it, and so does a terminal's width.
    """
    wide = None if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit() else PIPE_CELLS
    console = _PipeConsole(highlight=False, width=wide)
    console.width = max(MIN_CELLS, console.width)
    return console


def print_trace(trace: Trace, console: Console | None = None, max_rows: int | None = None) -> None:
    """Print one trace at the console's width: header, waterfall, legend, breakdowns, notes.

    Of rows, and of breakdowns, at most `max_rows` are drawn; how many more there are is said.
    """
    console = console or Console(highlight=False)
    _print_lines(_draw_trace(trace, console.width, pick_glyphs(console.encoding), max_rows), console)


def print_styled(lines: Iterable[tuple[str, str]], console: Console) -> None:
    """Print lines, each with its style, "" for none."""
    _print_lines((Text(text, style=style) for text, style in lines), console)


def print_notes(notes: Iterable[str], console: Console) -> None:
    """Print sentences, each folded to the console's width."""
    _print_lines((line for note in notes for line in _fold(note.split(" "), console.width, "dim", " ")), console)


def _print_lines(lines: Iterable[Text], console: Console) -> None:
    """Print lines as they are, but for what the console's encoding cannot write."""
    for text in lines:
        console.print(_make_encodable(text, console.encoding), soft_wrap=True, highlight=False)


def _pick_styles(trace: Trace) -> dict[str, str]:
    return {name: SERVICE_STYLES[at % len(SERVICE_STYLES)] for at, name in enumerate(trace.services)}


def _draw_trace(trace: Trace, width: int, glyphs: Glyphs, max_rows: int | None) -> Iterator[Text]:
    root = trace.root
    title = f"{make_visible(root.service)} {make_visible(root.name)}"
    spans = f"{len(trace.rows) - trace.hop_count} spans, {trace.hop_count} hops"
    yield from _fold([title, f"{format_us(trace.duration_ns)} us", spans], width, "bold")
    yield Text(f"trace {trace.trace_id.hex()}", style="dim")
    yield Text()
    yield from _draw_waterfall(trace, width, glyphs, trace.rows[:max_rows])
    yield from _tell_more(len(trace.rows), max_rows, "spans")
    yield Text()
    legend = [f"{glyphs.application[0]} application", f"{glyphs.network[0]} network hop"]
    yield from _fold([*legend, f"{glyphs.request} request", f"{glyphs.response} response"], width, "dim")
    for note in describe_trace(trace, "us"):
        yield from _fold(note.split(" "), width, "dim", " ")
    breakdowns = break_down(trace)
    for breakdown in breakdowns[:max_rows]:
        yield Text()
        yield from _draw_breakdown(breakdown, width, glyphs)
    yield from _tell_more(len(breakdowns), max_rows, "exchanges")


def _tell_more(count: int, max_rows: int | None, what: str) -> Iterator[Text]:
    if max_rows is not None and count > max_rows:
        yield Text(f"... and {count - max_rows} {what} more", style="dim")


def _draw_waterfall(trace: Trace, width: int, glyphs: Glyphs, rows: Sequence[Row]) -> Iterator[Text]:
    styles = _pick_styles(trace)
    lines = [_describe_row(trace, row, glyphs, styles) for row in rows]
    fields = (
        max(cell_len(text) for text in ("node", *(line.node for line in lines))),
        max(cell_len(text) for text in ("device", *(line.device for line in lines))),
        max(len(text) for text in ("duration", *(line.duration for line in lines))),
    )
    # Two cells a level read better; one is taken where names would be cut otherwise.
    for step in (2, 1):
        guides = draw_guides(trace, glyphs, step, len(rows))
        need = max(len(guide) + cell_len(line.name) for guide, line in zip(guides, lines, strict=True))
        columns = share_columns(width, max(need, len("span")), fields)
        if need <= columns.name:
            break
    head = _Line("span", "node", "device", "duration", "dim", is_network=False)
    yield _draw_line("", head, draw_axis(trace.duration_ns, columns.bar), columns, glyphs)
    for guide, line, (start, end) in zip(guides, lines, shares(trace, len(rows)), strict=True):
        forms = glyphs.network if line.is_network else glyphs.application
        yield _draw_line(guide, line, draw_bar(start, end, columns.bar, forms), columns, glyphs)


def _describe_row(trace: Trace, row: Row, glyphs: Glyphs, styles: dict[str, str]) -> _Line:
    span = row.span
    if span.is_network:
        arrow = glyphs.request if span.direction == Direction.REQUEST else glyphs.response
        again = f" #{span.attempt}" if span.attempt > 1 else ""
        name = f"{arrow} {make_visible(span.name)}{again}"
    elif row.parent != NO_PARENT and trace.rows[row.parent].span.service == span.service:
        name = make_visible(span.name)
    else:
        name = f"{make_visible(span.service)} {make_visible(span.name)}"
    marks = find_marks(row)
    return _Line(
        name=f"{marks} {name}" if marks else name,
        node=make_visible(span.node),
        device=make_visible(span.device),
        duration=f"{format_us(span.duration_ns)} us",
        style=NETWORK_STYLE if span.is_network else styles[span.service],
        is_network=span.is_network,
    )


def _draw_line(guide: str, line: _Line, bar: str, columns: Columns, glyphs: Glyphs) -> Text:
    guide_cells = min(len(guide), columns.name // 2)
    text = Text(no_wrap=True)
    text.append(guide[len(guide) - guide_cells :], style="dim")
    text.append(_fit(line.name, columns.name - guide_cells, glyphs), style=line.style)
    for field, cells in ((line.node, columns.node), (line.device, columns.device)):
        if cells:
            text.append(" " * columns.gap + _fit(field, cells, glyphs), style="dim")
    text.append(" " * columns.gap + line.duration.rjust(columns.duration) + " " * columns.gap)
    text.append(bar, style=line.style)
    return text


def _fit(text: str, cells: int, glyphs: Glyphs) -> str:
    if cell_len(text) <= cells:
        return set_cell_size(text, cells)
    return set_cell_size(text, max(0, cells - 1)) + glyphs.ellipsis


def _draw_breakdown(breakdown: Breakdown, width: int, glyphs: Glyphs) -> Iterator[Text]:
    total_ns = breakdown.duration_ns
    pair = f"{make_visible(breakdown.parent.service)} {glyphs.arrow} {make_visible(breakdown.server_service)}"
    head = f"{pair}  {make_visible(breakdown.parent.name)}  {format_short_us(total_ns)} us"
    parts = [
        _name_part("= network", breakdown.network_ns, total_ns),
        _name_part("+ server", breakdown.server_ns, total_ns) if breakdown.servers else "+ server not seen",
        _name_part("+ remainder", breakdown.remainder_ns, total_ns),
    ]
    whole = " ".join((head, *parts))
    if cell_len(whole) <= width:
        yield Text(whole)
    else:
        yield from _fold(head.split(" "), width, "", " ")
        yield from _fold(["  " + parts[0], *parts[1:]], width, "", " ")
    for note in breakdown.notes:
        yield from _fold(f"  {note}".split(" "), width, "dim", " ")


def _name_part(name: str, part_ns: int, total_ns: int) -> str:
    return f"{name} {format_short_us(part_ns)} us ({percent(part_ns, total_ns)} %)"


def _fold(parts: Sequence[str], width: int, style: str, joint: str = "   ") -> Iterator[Text]:
    """Join the parts, and start a new line before one that does not fit."""
    line, *others = (part if cell_len(part) < width - 1 else set_cell_size(part, width - 2) for part in parts)
    for part in others:
        if cell_len(line) + len(joint) + cell_len(part) <= width:
            line += joint + part
        else:
            yield Text(line, style=style)
            line = f"  {part}"
    yield Text(line, style=style)


def _make_encodable(text: Text, encoding: str) -> Text:
    """Replace what the encoding cannot write; each character keeps its place, so styles stay where they are."""
    text.plain = text.plain.encode(encoding, "replace").decode(encoding)
    text.rstrip()
    return text
