"""Write a comparison for scripts; the shape is part of docs/command.md. Pure."""

from typing import Any

from traceview.comparison import Comparison, Row, Shift, Side

VERSION = 1
"""Of the shape: fields may be added under it, none is taken away or changes its meaning."""


def describe_comparison(comparison: Comparison, before: Side, after: Side) -> dict[str, Any]:
    """Return the comparison as values of JSON."""
    return {
        "version": VERSION,
        "before": _describe_set(before),
        "after": _describe_set(after),
        "confidence": comparison.confidence,
        "comparisons": comparison.comparisons,
        "rows_left_out": comparison.rows_left_out,
        "hops": [_describe_row(row) for row in comparison.rows],
    }


def _describe_set(side: Side) -> dict[str, Any]:
    return {"name": side.name, "traces": side.held.traces, "hops": side.held.hops, "notes": list(side.notes)}


def _describe_row(row: Row) -> dict[str, Any]:
    key = row.key
    return {
        "name": key.name,
        "direction": key.direction,
        "from": key.start or None,
        "to": key.end or None,
        "nodes": key.nodes or None,
        "before_count": row.before_count,
        "after_count": row.after_count,
        **{name: _describe_shift(shift) for name, shift in row.shifts.items()},
    }


def _describe_shift(shift: Shift) -> dict[str, Any]:
    return {
        "before_ns": shift.before_ns,
        "after_ns": shift.after_ns,
        "difference_ns": shift.difference_ns,
        "interval_ns": list(shift.interval_ns) if shift.interval_ns else None,
        "verdict": str(shift.verdict),
    }
