"""Write a trace for scripts; the shape is part of docs/command.md. Pure."""

import json
from collections.abc import Sequence
from typing import Any

from traceview.breakdown import Breakdown, break_down
from traceview.notes import describe_trace
from traceview.span import Span, read_text
from traceview.tree import NO_PARENT, Row, Trace

VERSION = 1
"""Of the shape: fields may be added under it, none is taken away or changes its meaning."""


def write_json(value: dict[str, Any]) -> str:
    """Return one line of JSON, in printable ASCII alone: it may be shown on a terminal as it is."""
    return json.dumps(value, separators=(",", ":")).replace("\x7f", "\\u007f") + "\n"


def describe_trace_json(trace: Trace, left_out: Sequence[str] = ()) -> dict[str, Any]:
    """Return a trace as values of JSON; `left_out` says what was not read of it."""
    return {
        "version": VERSION,
        "trace_id": trace.trace_id.hex(),
        "start_ns": trace.start_ns,
        "duration_ns": trace.duration_ns,
        "hops": trace.hop_count,
        "spans": [_describe_row(row) for row in trace.rows],
        "exchanges": [_describe_exchange(breakdown) for breakdown in break_down(trace)],
        "notes": list(describe_trace(trace, "us")),
        "left_out": list(left_out),
    }


def _describe_row(row: Row) -> dict[str, Any]:
    span = row.span
    return {
        "span_id": span.span_id.hex(),
        "parent_id": span.parent_id.hex() or None,
        "parent_row": None if row.parent == NO_PARENT else row.parent,
        "orphan": row.is_orphan,
        "service": span.service,
        "name": span.name,
        "kind": span.kind.name,
        "node": span.node or None,
        "start_ns": span.start_ns,
        "duration_ns": span.duration_ns,
        "failed": span.failed,
        "hop": _describe_hop(span) if span.is_network else None,
    }


def _describe_hop(span: Span) -> dict[str, Any]:
    held = span.attributes
    return {
        "direction": span.direction.label,
        "from": read_text(held, "hopspan.from") or None,
        "to": read_text(held, "hopspan.to") or None,
        "device": span.device or None,
        "attempt": span.attempt,
        "clipped": span.clipped,
        "missed": span.missed or None,
        "clock": read_text(held, "hopspan.clock.source") or None,
        "clock_offset_ns": _read_number(span, "hopspan.clock.offset_ns"),
        "clock_uncertainty_ns": _read_number(span, "hopspan.clock.uncertainty_ns"),
    }


def _read_number(span: Span, key: str) -> int | None:
    value = span.attributes.get(key)
    return value if isinstance(value, int) else None


def _describe_exchange(breakdown: Breakdown) -> dict[str, Any]:
    return {
        "span_id": breakdown.parent.span_id.hex(),
        "client": breakdown.parent.service,
        "server": breakdown.server_service if breakdown.servers else None,
        "duration_ns": breakdown.duration_ns,
        "request_ns": breakdown.request_ns,
        "response_ns": breakdown.response_ns,
        "network_ns": breakdown.network_ns,
        "server_ns": breakdown.server_ns if breakdown.servers else None,
        "remainder_ns": breakdown.remainder_ns,
        "notes": list(breakdown.notes),
    }
