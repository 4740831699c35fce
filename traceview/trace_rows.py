"""Draw the waterfall of one trace for the page: a row a span, which opens to its details. Pure."""

from collections.abc import Mapping

from traceview.details import list_details
from traceview.markup import Markup, element, nest_list
from traceview.notes import find_marks
from traceview.span import Direction, Span
from traceview.text import PAGE_UNIT, format_us, make_visible, write_us
from traceview.tree import Row, Trace
from traceview.waterfall import shares

COLOUR_COUNT = 8
"""As many as the style sheet names, --s0 to --s7."""

MAX_INDENT = 14
"""Levels of indent: more would leave a phone no room for names."""

TICKS = 4


def pick_colours(trace: Trace) -> dict[str, str]:
    """Return a CSS colour for each service, in the order in which they are drawn."""
    return {name: f"var(--s{at % COLOUR_COUNT})" for at, name in enumerate(trace.services)}


def draw_rows(trace: Trace, colours: Mapping[str, str]) -> Markup:
    """Return the legend and the rows under their axis."""
    start_ns = trace.start_ns
    rows = [
        (min(row.depth, MAX_INDENT), _draw_row(row, start_ns, place, colours[row.span.service]))
        for row, place in zip(trace.rows, shares(trace), strict=True)
    ]
    return element(
        "div",
        _draw_legend(colours),
        element("div", _draw_head(trace), nest_list(rows), class_="rows card"),
    )


def _draw_legend(colours: Mapping[str, str]) -> Markup:
    services = (element("li", element("i"), make_visible(name), style=f"--c:{c}") for name, c in colours.items())
    hop = element("li", element("i"), "network hop (→ request, ← response)", class_="hop")
    return element("ul", *services, hop, class_="legend", aria_label="Legend")


def _draw_head(trace: Trace) -> Markup:
    """Return the heads of the columns and the time axis; ticks stand where the grid has its lines."""
    ticks = [write_us(trace.duration_ns * at // TICKS) for at in range(1, TICKS + 1)]
    return element(
        "div",
        element("span", "span"),
        element("span", "node"),
        element("span", "device"),
        element("span", "duration", class_="right"),
        element("span", *(element("span", tick) for tick in ticks), class_="axis"),
        class_="head",
        aria_hidden="true",
    )


def _draw_row(row: Row, start_ns: int, place: tuple[float, float], colour: str) -> Markup:
    span = row.span
    start, end = place
    bar = element("i", style=f"--x:{100 * start:.2f}%;--w:{100 * (end - start):.2f}%")
    summary = element(
        "summary",
        element("span", *_name_row(row), class_="name"),
        element("span", make_visible(span.node), class_="cell"),
        element("span", make_visible(span.device), class_="cell"),
        element("span", f"{format_us(span.duration_ns)} {PAGE_UNIT}", class_="right"),
        element("span", bar, class_="track", aria_hidden="true"),
    )
    facts = (
        element("div", element("dt", label), element("dd", text))
        for label, text in list_details(span, start_ns, PAGE_UNIT)
    )
    kind = {"class_": "hop"} if span.is_network else {}
    style = f"--d:{min(row.depth, MAX_INDENT)};--c:{colour}"
    return element("details", summary, element("dl", *facts, class_="more"), style=style, **kind)


def _name_row(row: Row) -> tuple[str, ...]:
    marks = find_marks(row)
    shown = (element("span", marks, class_="mark"),) if marks else ()
    if row.span.is_network:
        return (*shown, element("span", _name_hop(row.span)))
    service = element("span", make_visible(row.span.service), class_="svc")
    return (*shown, service, element("span", make_visible(row.span.name)))


def _name_hop(span: Span) -> str:
    arrow = "→" if span.direction == Direction.REQUEST else "←"
    again = f" #{span.attempt}" if span.attempt > 1 else ""
    return f"{arrow} {make_visible(span.name)}{again}"
