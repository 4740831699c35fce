"""The command line of `node-probe top`, and what needs neither root nor a terminal of the screen."""

import io
import re

import pytest
from rich.console import Console

from node_probe.__main__ import main
from node_probe.hop_table import Row, RowKey, Sort
from node_probe.top import LastLine, Options, parse_options
from node_probe.top_screen import KEYS, Screen, draw
from node_probe.top_text import Snapshot
from node_probe.transit import Direction

ADDRESS = bytes(10) + b"\xff\xff" + bytes([192, 168, 100, 100])
ROW = Row(RowKey(ADDRESS, ADDRESS, Direction.RESPONSE, "host-forward"), 4600, 1000, 2000, 3_456_789, 0)
SNAPSHOT = Snapshot((ROW,), 3, 4600, 10**9, 8, "tcx", {})


def test_options_by_default() -> None:
    """A live table of everything, each second, the slowest first."""
    assert parse_options("node-probe", []) == Options(
        once=False, json=False, interval_ns=10**9, sort=Sort.P99, limit=None
    )


def test_options() -> None:
    """As the command line says."""
    arguments = ["--once", "--json", "--interval", "0.25", "--sort", "pair", "--limit", "7"]
    assert parse_options("node-probe", arguments) == Options(
        once=True, json=True, interval_ns=250_000_000, sort=Sort.PAIR, limit=7
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["top", "--interval", "0"], "--interval: 0 is not between 0.1 and 86400"),
        (["top", "--interval", "nan"], "--interval: nan is not between"),
        (["top", "--interval", "soon"], "--interval: invalid"),
        (["top", "--limit", "0"], "--limit: 0 is not a number of rows"),
        (["top", "--sort", "name"], "--sort: invalid"),
        (["top", "--config", "x"], "unrecognized arguments: --config x"),
        (["--check-config", "top"], "top comes before its options"),
    ],
)
def test_misuse_is_told(capsys: pytest.CaptureFixture[str], arguments: list[str], told: str) -> None:
    """Exit code 2, and what is wrong."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def render(width: int, *, unicode: bool = True, note: str = "") -> list[str]:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    with console.capture() as captured:
        console.print(draw(SNAPSHOT, Sort.P99, note, unicode=unicode))
    return [line.rstrip() for line in captured.get().splitlines()]


def test_screen_shows_each_row_and_what_is_missing() -> None:
    """State, heads, rows, how many more there are, what went wrong, and the keys."""
    assert render(100, note="a program could not be attached") == [
        "node-probe top   8 points by tcx   1.0 s   4600 transits   by p99",
        "count  p50 us  p99 us  max us  attempts  hop           client              server",
        " 4600     1.0     2.0  3456.8         0  host-forward  192.168.100.100  ←  192.168.100.100",
        "3 more rows",
        "a program could not be attached",
        KEYS,
    ]
    assert "".join(render(100, unicode=False)).isascii()


@pytest.mark.parametrize("width", [40, 50, 60, 79])
def test_narrow_screen_cuts_no_number(width: int) -> None:
    """Lines are as long as the terminal at most, and what is cut is the pair."""
    lines = render(width)
    assert max(map(len, lines)) <= width
    assert re.match(r" 4600 +1\.0 +2\.0 +3456\.8", lines[2])


def test_last_line_of_the_log_is_the_note() -> None:
    """Without time and level; nothing is written into the drawing."""
    screen = Screen(Console(file=io.StringIO()))
    LastLine(screen).write('{"time": "t", "level": "warn", "message": "not attached", "program": "veth_ingress"}\n')
    assert screen.note == "not attached veth_ingress"


def test_screen_may_be_closed_unopened() -> None:
    """As where the programs cannot be loaded."""
    screen = Screen(Console(file=io.StringIO()))
    screen.close()
    screen.show(SNAPSHOT, Sort.P99)
    assert screen.read_keys() == ""
