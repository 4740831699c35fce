"""The drawing in a terminal, as text."""

import io
import runpy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from rich.cells import cell_len
from rich.console import Console

from traceview.otlp_json import read_spans
from traceview.span import Span, SpanKind
from traceview.terminal import print_trace
from traceview.tree import group_traces

HERE = Path(__file__).parent
CHECKOUT = runpy.run_path(str(HERE / "make_checkout.py"))
SPANS = read_spans(line.encode() for line in CHECKOUT["build_lines"](1))


def draw(spans: Sequence[Span], width: int, encoding: str = "utf-8", *, color: bool = False) -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    system: Literal["standard"] | None = "standard" if color else None
    console = Console(file=file, width=width, force_terminal=color, color_system=system, _environ={})
    print_trace(group_traces(spans)[0], console)
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize(("width", "encoding"), [(80, "utf-8"), (140, "utf-8"), (80, "ascii")])
def test_golden_drawing(width: int, encoding: str) -> None:
    """The checkout is drawn as the golden file has it; delete the file to have it written, which fails that run."""
    golden = HERE / "golden" / f"checkout_{width}_{encoding}.txt"
    drawn = draw(SPANS, width, encoding)
    if not golden.exists():
        golden.write_text(drawn, encoding="utf-8")
        pytest.fail(f"{golden.name} was written: read it, then run again")
    assert drawn == golden.read_text(encoding="utf-8")


def make_hostile() -> list[Span]:
    resource = {"service.name": "深い\x1b[2J" * 20, "host.name": "node" * 40}
    parent = Span(b"t" * 16, b"\x01" * 8, b"", "x" * 500 + "[bold]", SpanKind.CLIENT, 0, 10**12, resource=resource)
    attributes: dict[str, Any] = {
        "hopspan.duration_ns": 10**15,
        "network.interface.name": "eth" * 30,
        "hopspan.attempt": 2,
    }
    hop = Span(b"t" * 16, b"\x02" * 8, b"\x01" * 8, "\r\n", SpanKind.INTERNAL, 5, 4, "hopspan", attributes=attributes)
    return [parent, hop]


@pytest.mark.parametrize("width", [60, 80, 81, 99, 100, 120, 200])
@pytest.mark.parametrize("spans", [SPANS, make_hostile()], ids=["checkout", "hostile"])
def test_no_line_is_wider_than_the_terminal(width: int, spans: Sequence[Span]) -> None:
    """No row wraps, whatever the names are."""
    lines = draw(spans, width).split("\n")
    assert max(cell_len(line) for line in lines) <= width
    assert not any(line.endswith(" ") for line in lines)


def test_foreign_control_characters_do_not_reach_the_terminal() -> None:
    """Escape sequences and returns in names are replaced, and markup is no markup."""
    drawn = draw(make_hostile(), 120)
    assert all(char.isprintable() or char == "\n" for char in drawn)


def test_every_span_has_a_bar() -> None:
    """Even a hop of no length has a glyph."""
    rows = draw(SPANS, 80).split("\n")[4 : 4 + len(SPANS)]
    assert all(row.endswith(("━", "╸", "╺", "█", "▌", "▐")) for row in rows)


def test_colours() -> None:
    """Services and the network have colours of their own where there are colours, and plain text has none."""
    drawn = draw(SPANS, 80, color=True)
    assert "\x1b[1;35m→ veth-hop" in drawn
    assert "\x1b[36mGET cart" in drawn
    assert "\x1b[32mcart ingress" in drawn
    assert "\x1b" not in draw(SPANS, 80)


def test_names_that_the_encoding_cannot_write() -> None:
    """A terminal without Unicode shows question marks, no traceback."""
    assert "? ? span" in draw([Span(b"t" * 16, b"r" * 8, b"", "é µ span", SpanKind.SERVER, 0, 9)], 80, "ascii")


def test_exchange_without_server() -> None:
    """An exchange whose server left no span says so instead of 0."""
    spans = [span for span in SPANS if span.service != "cart"]
    assert "+ server not seen + remainder" in draw(spans, 140)
