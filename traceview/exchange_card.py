"""Draw the breakdown of one exchange for the page: a stacked bar, its parts, and the hops of each direction. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from traceview.breakdown import Breakdown
from traceview.markup import Markup, element
from traceview.span import Direction, Span
from traceview.text import format_short_us, make_visible, percent, write_us

WIRE_HOP = "underlay"
"""The hop between two nodes; it stands out from those that the nodes themselves take."""


def draw_exchange(breakdown: Breakdown, colours: Mapping[str, str]) -> Markup:
    """Return the card of one exchange; `colours` maps services to CSS colours."""
    pair = f"{make_visible(breakdown.parent.service)} → {make_visible(breakdown.server_service)}"
    detail = f" {make_visible(breakdown.parent.name)}, {write_us(breakdown.duration_ns)}"
    colour = colours.get(breakdown.server_service, "var(--s7)")
    parts = (
        ("network", breakdown.network_ns),
        ("server", breakdown.server_ns),
        ("remainder", breakdown.remainder_ns),
    )
    segments = (element("i", class_=name, style=f"--w:{part_ns}") for name, part_ns in parts if part_ns)
    ways = (
        _draw_way(Direction.REQUEST, breakdown.request_hops, breakdown.request_ns, breakdown.network_ns),
        _draw_way(Direction.RESPONSE, breakdown.response_hops, breakdown.response_ns, breakdown.network_ns),
    )
    notes = [element("li", note) for note in breakdown.notes]
    return element(
        "section",
        element("h3", pair, element("span", detail, class_="dim")),
        element("div", *segments, class_="stack", aria_hidden="true"),
        element("dl", *(_draw_part(name, part_ns, breakdown) for name, part_ns in parts), class_="parts"),
        element("div", *(way for way in ways if way), class_="ways"),
        *([element("ul", *notes, class_="notes")] if notes else []),
        class_="exchange card",
        style=f"--c:{colour}",
    )


def _draw_part(name: str, part_ns: int, breakdown: Breakdown) -> Markup:
    figures = f"{write_us(part_ns)} ({percent(part_ns, breakdown.duration_ns)}\N{NO-BREAK SPACE}%)"
    if name == "server" and not breakdown.servers:
        figures = "not seen"
    return element("div", element("dt", element("i", class_=name), name), element("dd", figures))


def _draw_way(direction: Direction, hops: Sequence[Span], way_ns: int, network_ns: int) -> Markup | None:
    """Return the hops of one direction as a strip; both strips of a card have one scale."""
    if not hops:
        return None
    arrow = "→" if direction == Direction.REQUEST else "←"
    words = [f"{make_visible(hop.name)} {format_short_us(hop.duration_ns)}" for hop in hops]
    strip = (_draw_hop(hop) for hop in hops)
    share = f"width:{percent(way_ns, network_ns)}%" if way_ns else "width:0"
    return element(
        "div",
        element("b", f"{arrow} {direction.label} {write_us(way_ns)}"),
        element("ol", *strip, aria_hidden="true", style=share),
        element("p", *_join_words(words), class_="dim"),
        class_="way",
    )


def _join_words(words: Sequence[str]) -> Iterator[str]:
    """Return the words with dots between; each is an element of its own, which lines break around, not in."""
    for at, word in enumerate(words):
        yield element("span", word)
        yield " · " if at + 1 < len(words) else ""


def _draw_hop(hop: Span) -> Markup:
    wire = {"class_": "wire"} if hop.name == WIRE_HOP else {}
    return element("li", element("i"), style=f"--w:{hop.duration_ns}", **wire)
