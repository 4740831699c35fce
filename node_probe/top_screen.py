"""Draws `node-probe top` in a terminal and reads its keys. The only module of the probe that imports rich.

Draws when told and in no thread of its own. Whatever ends the program, `close` gives the terminal back as it was.
"""

import os
import select
import sys
import termios
import tty
from collections.abc import Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from node_probe.hop_table import Sort
from node_probe.top_text import GAP, HOP_COLUMN, Snapshot, describe_rest, describe_state, fit_table

KEYS = "q quit   s sort   c clear"

_HOP_STYLE = "bold magenta"
"""The network's, as in the drawings of traces."""

_LINES_AROUND = 5
"""Title, heads, the rest, the note and the keys."""

_MOST_KEYS = 64


class Screen:
    """The whole terminal, from `open` to `close`. Used by one thread."""

    def __init__(self, console: Console | None = None) -> None:
        """Take standard output, and the keys from standard input where that is a terminal; draw nothing yet."""
        self.console = console or Console(highlight=False)
        self.note = ""
        """Shown below the table: what went wrong last."""
        self._live: Live | None = None
        self._terminal: list[Any] | None = None

    @property
    def rows(self) -> int:
        """Return how many rows have room."""
        return max(1, self.console.height - _LINES_AROUND)

    def open(self) -> None:
        """Take the terminal over."""
        if sys.stdin.isatty():
            self._terminal = termios.tcgetattr(sys.stdin)
            # Keys come singly and without echo; those that send a signal still do.
            tty.setcbreak(sys.stdin)
        self._live = Live(
            console=self.console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )
        self._live.start()

    def close(self) -> None:
        """Give the terminal back. May be called twice, or without `open`."""
        live, self._live = self._live, None
        terminal, self._terminal = self._terminal, None
        try:
            if live is not None:
                live.stop()
        finally:
            if terminal is not None:
                termios.tcsetattr(sys.stdin, termios.TCSADRAIN, terminal)

    def read_keys(self) -> str:
        """Return what was typed since the last call, without waiting."""
        if self._terminal is None or not select.select([sys.stdin], [], [], 0)[0]:
            return ""
        return os.read(sys.stdin.fileno(), _MOST_KEYS).decode(errors="replace")

    def show(self, snapshot: Snapshot, sort: Sort) -> None:
        """Draw anew."""
        if self._live is not None:
            self._live.update(draw(snapshot, sort, self.note, unicode=self._writes_unicode), refresh=True)

    @property
    def _writes_unicode(self) -> bool:
        return self.console.encoding.lower().startswith("utf")


def draw(snapshot: Snapshot, sort: Sort, note: str, *, unicode: bool) -> RenderableType:
    """Return what `show` puts on the terminal."""
    heads, *rows = fit_table(snapshot.rows, unicode=unicode)
    lines = [
        _make_line(f"node-probe top   {describe_state(snapshot, sort)}", "bold"),
        _make_line(GAP.join(heads), "dim"),
        *(_draw_row(cells) for cells in rows),
        _make_line("" if rows else "no traced packet yet", "dim"),
        _make_line(describe_rest(snapshot), "dim"),
        _make_line(note, "yellow"),
        _make_line(KEYS, "dim"),
    ]
    return Group(*(line for line in lines if line))


def _draw_row(cells: Sequence[str]) -> Text:
    line = _make_line("", "")
    for at, cell in enumerate(cells):
        line.append(cell, _HOP_STYLE if at == HOP_COLUMN else "").append(GAP)
    return line


def _make_line(text: str, style: str) -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
