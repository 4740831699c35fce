"""Lay a trace out in the cells of a terminal: guides of the tree, widths of columns, bars, the axis. Pure.

Everything here counts cells and knows no colour; the words come from other modules.
"""

from collections.abc import Sequence

import msgspec

from traceview.text import format_short_us
from traceview.tree import NO_PARENT, Trace

MAX_GUIDES = 24
"""Levels that are drawn; a deeper row keeps the indent of this one, or names would have no room at 80 columns."""

MIN_BAR_CELLS = 16
"""With half cells that is one step in 3 % of the trace."""

NARROW_CELLS = 100
"""Below this width gaps and guides take one cell instead of two."""

NS_PER_US = 1000

MIN_FIELD_CELLS = 8
MAX_FIELD_CELLS = 16
"""A device's name has at most 15 characters (IFNAMSIZ); a node's is often a domain name, whose head tells it."""

TINY_CELLS = 60
"""Below this width the node and the device are left out."""


class Glyphs(msgspec.Struct, frozen=True):
    """What the output can show. A bar glyph has three forms: whole cell, left half, right half."""

    application: str
    network: str
    branch: str
    last_branch: str
    trunk: str
    request: str
    response: str
    arrow: str
    ellipsis: str


UNICODE = Glyphs("━╸╺", "█▌▐", "├", "└", "│", "→", "←", "→", "…")
ASCII = Glyphs("===", "###", "|", "`", "|", ">", "<", "->", "~")


class Columns(msgspec.Struct, frozen=True):
    """Widths in cells; 0 leaves a column out."""

    name: int
    node: int
    device: int
    duration: int
    bar: int
    gap: int


def pick_glyphs(encoding: str) -> Glyphs:
    """Return UNICODE where the encoding can write all of it, else ASCII."""
    try:
        "".join(UNICODE.__getattribute__(field) for field in UNICODE.__struct_fields__).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE


def share_columns(width: int, name: int, fields: tuple[int, int, int]) -> Columns:
    """Divide `width` cells.

    `name` is the widest name with its guides, `fields` the widest node, device and duration. Durations are never cut.
    Names go before nodes and devices, which have at most MAX_FIELD_CELLS; the bar takes the rest, at least
    MIN_BAR_CELLS and a third.
    """
    gap = 1 if width < NARROW_CELLS else 2
    node, device, duration = fields
    limit = 0 if width < TINY_CELLS else MIN_FIELD_CELLS
    shown = [min(node, limit), min(device, limit)]
    rest = max(2, width - sum(cells + gap for cells in (*shown, duration) if cells) - gap)
    bar = max(min(MIN_BAR_CELLS, rest // 2), rest // 3)
    name = min(name, rest - bar)
    spare = rest - bar - name
    for at in (1, 0):
        more = min(spare, max(0, min(fields[at], MAX_FIELD_CELLS) - shown[at])) if limit else 0
        shown[at] += more
        spare -= more
    return Columns(name=name, node=shown[0], device=shown[1], duration=duration, bar=bar + spare, gap=gap)


def draw_guides(trace: Trace, glyphs: Glyphs, step: int, count: int | None = None) -> tuple[str, ...]:
    """Return for each row, or the first `count`, the lines that lead to it, `step` cells (1 or 2) a level."""
    return tuple(_draw_guide(trace, index, glyphs, step) for index in range(len(trace.rows))[:count])


def _draw_guide(trace: Trace, index: int, glyphs: Glyphs, step: int) -> str:
    row = trace.rows[index]
    if row.depth == 0:
        return ""
    guide = glyphs.last_branch if row.is_last else glyphs.branch
    guide += " " * (step - 1)
    above = trace.rows[row.parent]
    while above.parent != NO_PARENT and len(guide) < MAX_GUIDES * step:
        guide = (" " if above.is_last else glyphs.trunk) + " " * (step - 1) + guide
        above = trace.rows[above.parent]
    return guide


def draw_bar(start: float, end: float, cells: int, forms: str) -> str:
    """Return a bar of `cells` from the shares `start` to `end` of the trace, at least half a cell long.

    `forms` are the glyphs for a whole cell, its left half and its right half.
    """
    halves = 2 * cells
    first = min(max(0, int(start * halves)), halves - 1)
    beyond = min(max(first + 1, -int(-end * halves // 1)), halves)
    return "".join(_draw_cell(first, beyond, 2 * cell, forms) for cell in range((beyond + 1) // 2))


def _draw_cell(first: int, beyond: int, half: int, forms: str) -> str:
    left, right = first <= half < beyond, first <= half + 1 < beyond
    if left and right:
        return forms[0]
    if left:
        return forms[1]
    return forms[2] if right else " "


def draw_axis(duration_ns: int, cells: int) -> str:
    """Return the scale above the bars: 0, the middle where there is room, and the whole, in microseconds."""
    end = f"{format_short_us(duration_ns)} us"
    middle = format_short_us(duration_ns // 2)
    line = "0".ljust(max(1, cells - len(end))) + end
    at = (cells - len(middle)) // 2
    if duration_ns >= NS_PER_US and at > len("0") and at + len(middle) < cells - len(end):
        line = line[:at] + middle + line[at + len(middle) :]
    return line if len(line) <= cells else end[:cells]


def shares(trace: Trace, count: int | None = None) -> Sequence[tuple[float, float]]:
    """Return for each row, or the first `count`, where its span starts and ends, as shares of the trace."""
    start_ns, duration_ns = trace.start_ns, trace.duration_ns
    return [
        ((row.span.start_ns - start_ns) / duration_ns, (row.span.end_ns - start_ns) / duration_ns)
        for row in trace.rows[:count]
    ]
