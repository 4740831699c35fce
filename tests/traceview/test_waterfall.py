"""Cells of a terminal: columns, guides, bars and the axis."""

import pytest

from traceview.span import Span, SpanKind
from traceview.tree import group_traces
from traceview.waterfall import (
    ASCII,
    MAX_GUIDES,
    MIN_BAR_CELLS,
    UNICODE,
    draw_axis,
    draw_bar,
    draw_guides,
    pick_glyphs,
    share_columns,
)


@pytest.mark.parametrize(
    ("start", "end", "bar"),
    [
        (0.0, 1.0, "██████████"),
        (0.0, 0.5, "█████"),
        (0.5, 1.0, "     █████"),
        (0.05, 0.1, "▐"),
        (0.1, 0.25, " █▌"),
        (0.0, 0.0, "▌"),
        (0.3001, 0.3002, "   ▌"),
        (1.0, 1.0, "         ▐"),
        (-0.5, 2.0, "██████████"),
    ],
)
def test_bar(start: float, end: float, bar: str) -> None:
    """A bar covers every half cell that it touches, and at least one."""
    assert draw_bar(start, end, 10, UNICODE.network) == bar


@pytest.mark.parametrize("width", [30, 59, 60, 61, 79, 80, 99, 100, 101, 140, 200])
@pytest.mark.parametrize("fields", [(6, 13, 9), (0, 0, 9), (60, 60, 12)])
@pytest.mark.parametrize("name", [4, 40, 300])
def test_columns_fill_the_width(width: int, name: int, fields: tuple[int, int, int]) -> None:
    """At every width the columns and their gaps are exactly as wide as the terminal, and durations are whole."""
    found = share_columns(width, name, fields)
    shown = [cells for cells in (found.node, found.device, found.duration) if cells]
    assert found.name + found.bar + sum(shown) + found.gap * (len(shown) + 1) == width
    assert found.duration == fields[2]
    assert found.name > 0
    assert found.bar >= (MIN_BAR_CELLS if width >= 80 else 5)


@pytest.mark.parametrize(
    ("encoding", "glyphs"),
    [("utf-8", UNICODE), ("ascii", ASCII), ("latin-1", ASCII), ("cp1252", ASCII), ("no-such", ASCII)],
)
def test_glyphs_fit_the_encoding(encoding: str, glyphs: object) -> None:
    """Where one glyph cannot be written all are replaced."""
    assert pick_glyphs(encoding) is glyphs


@pytest.mark.parametrize(
    ("duration_ns", "cells", "axis"),
    [
        (1_900_000, 24, "0         950    1900 us"),
        (1_900_000, 12, "0    1900 us"),
        (1_900_000, 7, "1900 us"),
        (1_900_000, 4, "1900"),
        (50, 16, "0         0.1 us"),
    ],
)
def test_axis(duration_ns: int, cells: int, axis: str) -> None:
    """The axis ends with the whole and its unit; the middle stands where there is room."""
    assert draw_axis(duration_ns, cells) == axis


def make_chain(depth: int) -> list[Span]:
    ids = [b""] + [b"%08d" % at for at in range(depth)]
    return [Span(b"t" * 16, ids[at + 1], ids[at], str(at), SpanKind.INTERNAL, at, at) for at in range(depth)]


def test_guides() -> None:
    """Trunks go on to the next sibling, the last one has a corner."""
    root, first, leaf = make_chain(3)
    last = Span(root.trace_id, b"last    ", root.span_id, "last", SpanKind.INTERNAL, 9, 9)
    (trace,) = group_traces([root, first, leaf, last])
    assert draw_guides(trace, UNICODE, 2) == ("", "├ ", "│ └ ", "└ ")
    assert draw_guides(trace, ASCII, 1) == ("", "|", "|`", "`")


def test_guides_are_bounded() -> None:
    """A very deep tree does not push its names out."""
    (trace,) = group_traces(make_chain(200))
    assert max(map(len, draw_guides(trace, UNICODE, 2))) == 2 * MAX_GUIDES
