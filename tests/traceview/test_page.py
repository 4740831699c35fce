"""The page is whole, self-contained, and shows foreign text as text."""

import base64
import hashlib
import re
import runpy
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from traceview.otlp_json import read_spans
from traceview.page import render_page
from traceview.span import Span
from traceview.tree import group_traces

CHECKOUT = runpy.run_path(str(Path(__file__).with_name("make_checkout.py")))
VOID = {"meta", "br", "link", "img", "input", "hr"}


class Reader(HTMLParser):
    """Checks that elements close in order, and keeps what the tests ask for."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def find(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def make_spans(count: int) -> tuple[Span, ...]:
    return read_spans(line.encode() for line in CHECKOUT["build_lines"](count))


def render(spans: tuple[Span, ...]) -> str:
    return render_page(group_traces(spans))


ONE = render(make_spans(1))


def test_page_is_well_formed_and_shows_the_trace() -> None:
    """Every element closes; title, trace id, exact durations, nodes, devices and parts are there."""
    spans = make_spans(1)
    reader = Reader(ONE)
    text = " ".join(reader.texts)
    assert "frontend ingress" in text
    assert spans[0].trace_id.hex() in text
    for word in ("→ underlay", "← vxlan-decap", "node-2", "vxlan0", "network", "remainder", "10.244.2.21:8080"):
        assert word in text
    for span in spans:
        assert f"{span.duration_ns // 1000}." in text
    assert len(reader.find("details")) == len(spans)
    assert [a["class"] for a in reader.find("details") if "class" in a] == ["hop"] * 20
    assert reader.find("nav") == []


def test_page_needs_nothing_else() -> None:
    """No address of any other thing stands in the page, and the policy forbids to load one."""
    assert not re.search(r"https?://|//[a-z]|url\(|@import|<link|<img|<iframe| src=", ONE)
    policy = next(attributes["content"] for attributes in Reader(ONE).find("meta") if "http-equiv" in attributes)
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")


def test_policy_admits_the_page_s_own_script() -> None:
    """The digest in the policy is that of the script as it stands in the page."""
    (script,) = re.findall(r"<script>(.*?)</script>", ONE, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in ONE


ATTACKS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title><script>",
    "$body ${style}",
    "\x00\x1b]",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_foreign_text_is_escaped(attack: str) -> None:
    """A name, a service, a node, a device or an address that looks like HTML is shown, not run."""
    keys = ("network.interface.name", "source.address", "hopspan.from", "hopspan.missed", "hopspan.clock.source")
    spans = tuple(
        msgspec.structs.replace(
            span,
            name=attack,
            resource={"service.name": attack, "host.name": attack},
            attributes={**span.attributes, **dict.fromkeys(keys, attack)} if span.is_network else {},
        )
        for span in make_spans(2)
    )
    reader = Reader(render(spans))
    assert len(reader.find("script")) == 1
    assert reader.find("img") == []
    assert not any(name.startswith("on") for _, attributes in reader.tags for name in attributes)
    shown = attack.replace("\x00", "\N{REPLACEMENT CHARACTER}").replace("\x1b", "\N{REPLACEMENT CHARACTER}")
    assert any(shown in text for text in reader.texts)


def test_twenty_traces() -> None:
    """A list on top selects each of them, and the page stays below 1 MB."""
    page = render(make_spans(20))
    reader = Reader(page)
    links = [attributes["href"] for attributes in reader.find("a")]
    articles = [f"#{attributes['id']}" for attributes in reader.find("article")]
    assert links == articles
    assert len(set(articles)) == 20
    assert len(page.encode()) < 1_000_000


def test_ids_are_unique_and_labels_lead_somewhere() -> None:
    """No id stands twice, and what names an article is in the page."""
    reader = Reader(render(make_spans(3)))
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {attributes["aria-labelledby"] for attributes in reader.find("article")} <= set(ids)


def test_bars_lie_inside_the_trace() -> None:
    """Each row's bar starts and ends within the scale."""
    places = re.findall(r'style="--x:([\d.-]+)%;--w:([\d.-]+)%"', ONE)
    assert len(places) == len(make_spans(1))
    for start, width in places:
        assert 0 <= float(start) <= 100
        assert 0 <= float(width) <= 100.01 - float(start)


def test_same_traces_make_the_same_page() -> None:
    """The page holds no date and no chance."""
    assert render(make_spans(1)) == ONE
