"""Turns what a program wrote to a terminal, with colours, into an SVG that needs nothing else. Pure."""

import io
import re

from rich.console import Console
from rich.text import Text

_FONT_FACES = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
"""Those of rich lead to a server of others; a page that shows the picture would not load them anyway."""

_NO_STYLE = re.compile(r"\x1b(?:\[[0-9;?]*[a-ln-zA-Z]|[^\[])")
"""All sequences but those of colours (`m`)."""


def render_terminal(text: str, columns: int, title: str) -> str:
    """Return the SVG of a terminal of so many columns that shows the text."""
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True, highlight=False)
    lines = [Text.from_ansi(line) for line in _NO_STYLE.sub("", text).replace("\r", "").split("\n")]
    while lines and not lines[-1].plain.strip():
        lines.pop()
    for line in lines:
        line.rstrip()
        console.print(line, soft_wrap=True)
    svg = console.export_svg(title=title, unique_id="hopspan")
    return _FONT_FACES.sub("", svg).replace("Fira Code", "DejaVu Sans Mono")
