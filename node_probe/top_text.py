"""What `node-probe top` says, as JSON for scripts and as cells of text for people.

Pure. The JSON has durations in nanoseconds, the cells in microseconds; addresses are written as people write them.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from node_probe.hop_table import Row, Sort
from node_probe.transit import Direction

HEADS = ("count", "p50 us", "p99 us", "max us", "attempts", "hop", "client", "", "server")
"""The columns: numbers first, so that a narrow terminal cuts none of them."""

HOP_COLUMN = 5
"""Those before it are numbers, thus right-aligned."""

_OTHERS = "(others)"
_ARROWS = {Direction.REQUEST: ("\N{RIGHTWARDS ARROW}", "->"), Direction.RESPONSE: ("\N{LEFTWARDS ARROW}", "<-")}
GAP = "  "


class Snapshot(msgspec.Struct, frozen=True):
    """All that is shown at one moment."""

    rows: Sequence[Row]
    """In order, and no more than were asked for."""
    rows_left_out: int
    transits: int
    elapsed_ns: int
    """Since the points were attached or the table was last cleared."""
    points: int
    mechanism: str
    lost: Mapping[str, int]
    """Transits that are in no row, by reason; none where nothing was lost."""


def write_json(snapshot: Snapshot) -> bytes:
    """Return one line of JSON."""
    found = {
        "elapsed_s": round(snapshot.elapsed_ns / 1e9, 3),
        "points": snapshot.points,
        "mechanism": snapshot.mechanism,
        "transits": snapshot.transits,
        "lost": snapshot.lost,
        "rows_left_out": snapshot.rows_left_out,
        "rows": [_describe_row(row) for row in snapshot.rows],
    }
    return msgspec.json.encode(found) + b"\n"


def describe_state(snapshot: Snapshot, sort: Sort) -> str:
    """Return one line on what the rows are made of."""
    parts = [
        f"{snapshot.points} points by {snapshot.mechanism}",
        f"{snapshot.elapsed_ns / 1e9:.1f} s",
        f"{snapshot.transits} transits",
        f"by {sort.value}",
    ]
    parts += [f"{count} lost: {reason}" for reason, count in snapshot.lost.items()]
    return "   ".join(parts)


def describe_rest(snapshot: Snapshot) -> str:
    """Return one line on the rows that are not shown; empty where all are."""
    return f"{snapshot.rows_left_out} more rows" if snapshot.rows_left_out else ""


def fit_table(rows: Sequence[Row], *, unicode: bool) -> list[list[str]]:
    """Return the cells of the heads and of each row, all cells of a column with one width."""
    table = [HEADS, *(_list_cells(row, unicode=unicode) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        [
            cell.rjust(width) if at < HOP_COLUMN else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        for cells in table
    ]


def list_lines(snapshot: Snapshot, sort: Sort) -> list[str]:
    """Return all that is shown as plain lines."""
    table = [GAP.join(cells).rstrip() for cells in fit_table(snapshot.rows, unicode=False)]
    return [line for line in (describe_state(snapshot, sort), *table, describe_rest(snapshot)) if line]


def write_address(address: bytes) -> str:
    """Return 16 bytes as people write them, IPv4 by its dotted form; none stands for all other addresses."""
    if not address:
        return _OTHERS
    found = ipaddress.IPv6Address(address)
    return str(found.ipv4_mapped or found)


def _list_cells(row: Row, *, unicode: bool) -> tuple[str, ...]:
    key = row.key
    durations = map(_write_us, (row.p50_ns, row.p99_ns, row.max_ns))
    pair = (write_address(key.client), _ARROWS[key.direction][0 if unicode else 1], write_address(key.server))
    return (str(row.count), *durations, str(row.attempts), key.hop, *pair)


def _describe_row(row: Row) -> dict[str, Any]:
    key = row.key
    return {
        "client": write_address(key.client) if key.client else None,
        "server": write_address(key.server) if key.server else None,
        "direction": key.direction.label,
        "hop": key.hop,
        "count": row.count,
        "p50_ns": row.p50_ns,
        "p99_ns": row.p99_ns,
        "max_ns": row.max_ns,
        "attempts": row.attempts,
    }


def _write_us(duration_ns: int) -> str:
    tenths = (duration_ns + 50) // 100
    return f"{tenths // 10}.{tenths % 10}"
