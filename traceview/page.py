"""Draw traces as one self-contained HTML page: no file, font, image or host beside it.

Pure but for reading its own template, style and script, which lie beside this module.
"""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from importlib.resources import files
from string import Template

from traceview.breakdown import break_down
from traceview.exchange_card import draw_exchange
from traceview.markup import Markup, element, join_markup
from traceview.notes import describe_trace
from traceview.text import PAGE_UNIT, make_visible, percent, write_us
from traceview.trace_rows import draw_rows, pick_colours
from traceview.tree import Trace


def render_page(traces: Sequence[Trace]) -> str:
    """Return the page; of several traces a list on top selects one. `traces` is not empty."""
    script = _read_asset("page.js")
    digest = hashlib.sha256(script.encode()).digest()
    articles = (_draw_article(trace) for trace in traces)
    return Template(_read_asset("page.html")).substitute(
        title=join_markup(_name_trace(traces[0]), f" and {len(traces) - 1} more" if len(traces) > 1 else ""),
        style=_read_asset("page.css"),
        script=script,
        script_hash=base64.b64encode(digest).decode(),
        body=join_markup(_draw_list(traces), element("main", *articles)),
    )


def _read_asset(name: str) -> str:
    return files("traceview").joinpath(name).read_text(encoding="utf-8")


def _name_trace(trace: Trace) -> str:
    return f"{make_visible(trace.root.service)} {make_visible(trace.root.name)}"


def _anchor_trace(trace: Trace) -> str:
    return f"trace-{trace.trace_id.hex()}"


def _draw_list(traces: Sequence[Trace]) -> Markup:
    if len(traces) < 2:  # noqa: PLR2004 - one trace leaves nothing to select
        return Markup("")
    items = (element("li", _draw_link(trace)) for trace in traces)
    return element("nav", element("h2", f"{len(traces)} traces"), element("ol", *items), aria_label="Traces")


def _draw_link(trace: Trace) -> Markup:
    network_ns = sum(breakdown.network_ns for breakdown in break_down(trace))
    share = f"network {write_us(network_ns)}"
    duration = element("span", write_us(trace.duration_ns))
    return element(
        "a",
        element("span", element("b", _name_trace(trace)), duration),
        element("span", element("code", trace.trace_id.hex()[:8]), element("span", share), class_="dim"),
        href=f"#{_anchor_trace(trace)}",
    )


def _draw_article(trace: Trace) -> Markup:
    anchor = _anchor_trace(trace)
    colours = pick_colours(trace)
    breakdowns = break_down(trace)
    network_ns = sum(breakdown.network_ns for breakdown in breakdowns)
    share = f"{write_us(network_ns)}, {percent(network_ns, trace.duration_ns)}\N{NO-BREAK SPACE}%"
    facts = (
        ("duration", write_us(trace.duration_ns)),
        ("in the network", share),
        ("spans", str(len(trace.rows) - trace.hop_count)),
        ("hops", str(trace.hop_count)),
        ("services", str(len(trace.services))),
    )
    head = element("h1", _name_trace(trace), id=f"{anchor}-name")
    trace_id = element("span", "trace ", element("code", trace.trace_id.hex()))
    shown = (element("span", f"{label} ", element("b", text)) for label, text in facts)
    cards = [draw_exchange(breakdown, colours) for breakdown in breakdowns]
    return element(
        "article",
        element("header", head, element("div", trace_id, *shown, class_="facts")),
        *_draw_section("Where the time went", "exchanges", cards),
        element("h2", "Waterfall"),
        draw_rows(trace, colours),
        *_draw_notes(describe_trace(trace, PAGE_UNIT)),
        id=anchor,
        aria_labelledby=f"{anchor}-name",
    )


def _draw_section(title: str, name: str, cards: Sequence[Markup]) -> Iterable[Markup]:
    return (element("h2", title), element("div", *cards, class_=name)) if cards else ()


def _draw_notes(notes: Sequence[str]) -> Iterable[Markup]:
    return (element("ul", *(element("li", note) for note in notes), class_="notes"),) if notes else ()
