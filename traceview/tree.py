"""Turn spans into traces, and each trace into the rows of its tree. Pure: no IO, no clock.

A row stands before its children, so a subtree is one run of rows. Nothing recurses: a trace may be deeper than
Python's stack.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from traceview.span import Span, SpanKind, drawing_order

NO_PARENT = -1

TOLD_APART = 2
"""Spans of one id and one service that are remembered as possible parents."""


class Row(msgspec.Struct, frozen=True):
    """One span and its place in the tree; `parent` and `children` are indexes of rows."""

    span: Span
    depth: int
    parent: int
    children: tuple[int, ...]
    is_orphan: bool
    """The span names a parent that is not in the trace, or the chain of parents runs in a circle."""
    is_last: bool
    """The last of its siblings."""


class Trace(msgspec.Struct, frozen=True):
    """The rows of one trace, in the order in which they are drawn. At least one row."""

    trace_id: bytes
    rows: tuple[Row, ...]

    @property
    def start_ns(self) -> int:
        """Return when the earliest span starts."""
        return min(row.span.start_ns for row in self.rows)

    @property
    def duration_ns(self) -> int:
        """Return the time from the earliest start to the latest end, at least 1 ns so that bars have a scale."""
        return max(1, max(row.span.end_ns for row in self.rows) - self.start_ns)

    @property
    def root(self) -> Span:
        """Return the span that names the trace: the first true root, else the first orphan, hops last."""
        return min(self.rows, key=lambda row: (row.depth, row.span.is_network, row.is_orphan)).span

    @property
    def services(self) -> tuple[str, ...]:
        """Return the services in the order in which they are drawn."""
        return tuple(dict.fromkeys(row.span.service for row in self.rows))

    @property
    def hop_count(self) -> int:
        """Return the number of network spans."""
        return sum(row.span.is_network for row in self.rows)


def group_traces(spans: Iterable[Span]) -> tuple[Trace, ...]:
    """Return the traces that the spans make, earliest first."""
    by_trace: defaultdict[bytes, list[Span]] = defaultdict(list)
    for span in spans:
        by_trace[span.trace_id].append(span)
    traces = [Trace(trace_id, _arrange_rows(_drop_copies(found))) for trace_id, found in by_trace.items()]
    return tuple(sorted(traces, key=lambda trace: (trace.start_ns, trace.trace_id)))


def _drop_copies(spans: list[Span]) -> list[Span]:
    """Drop spans that were sent twice: their ids are derived, so backends merge them too."""
    unique: dict[tuple[object, ...], Span] = {}
    for span in spans:
        key = (span.span_id, span.kind, span.service, span.name, span.start_ns, span.end_ns)
        unique.setdefault(key, span)
    return sorted(unique.values(), key=drawing_order)


def _arrange_rows(spans: Sequence[Span]) -> tuple[Row, ...]:
    parents = _find_parents(spans)
    children: defaultdict[int, list[int]] = defaultdict(list)
    for index, parent in enumerate(parents):
        children[parent].append(index)
    roots = children.pop(NO_PARENT, [])
    roots += _break_circles(parents, children, roots)
    roots.sort(key=lambda index: bool(spans[index].parent_id))
    rows: list[tuple[int, int, int, bool]] = []
    row_of: dict[int, int] = {}
    # Each entry: index of the span, depth, index of its parent's row, last of its siblings.
    todo = [(root, 0, NO_PARENT, root == roots[-1]) for root in reversed(roots)]
    while todo:
        index, depth, parent_row, is_last = todo.pop()
        row_of[index] = len(rows)
        rows.append((index, depth, parent_row, is_last))
        below = children[index]
        todo += [(child, depth + 1, row_of[index], child == below[-1]) for child in reversed(below)]
    return tuple(
        Row(
            span=spans[index],
            depth=depth,
            parent=parent,
            children=tuple(row_of[child] for child in children[index]),
            is_orphan=depth == 0 and bool(spans[index].parent_id),
            is_last=is_last,
        )
        for index, depth, parent, is_last in rows
    )


def _find_parents(spans: Sequence[Span]) -> list[int]:
    """Return for each span the index of its parent, or NO_PARENT.

    With B3 a SERVER span shares the id of its CLIENT span (openzipkin/b3-propagation, "Shared span"): it becomes that
    span's child, and what names the shared id as parent goes to the half of its own service, hops to the client's.
    """
    holders: defaultdict[bytes, list[int]] = defaultdict(list)
    halves: defaultdict[tuple[bytes, str], list[int]] = defaultdict(list)
    for index, span in enumerate(spans):
        holders[span.span_id].append(index)
        # Two are enough to find one that is not the span itself; a search among all of one id would not end soon.
        if len(alike := halves[span.span_id, span.service]) < TOLD_APART:
            alike.append(index)
    callers = {span_id: _pick_caller(spans, held) for span_id, held in holders.items()}
    parents: list[int] = []
    for index, span in enumerate(spans):
        caller = callers[span.span_id]
        if caller != index and span.kind == SpanKind.SERVER and spans[caller].kind != SpanKind.SERVER:
            parents.append(caller)
        elif not span.parent_id or span.parent_id not in callers:
            parents.append(NO_PARENT)
        else:
            own = () if span.is_network else halves.get((span.parent_id, span.service), ())
            parents.append(next((half for half in own if half != index), callers[span.parent_id]))
    return parents


def _pick_caller(spans: Sequence[Span], held: Sequence[int]) -> int:
    return next((index for index in held if spans[index].kind != SpanKind.SERVER), held[0])


def _break_circles(parents: list[int], children: dict[int, list[int]], roots: list[int]) -> list[int]:
    """Return more roots, cut out of `children`, until no span is left that only a circle of parents leads to."""
    seen: set[int] = set()
    more: list[int] = []
    _mark_reachable(roots, children, seen)
    for index in range(len(parents)):
        if index not in seen:
            children[parents[index]].remove(index)
            more.append(index)
            _mark_reachable([index], children, seen)
    return more


def _mark_reachable(start: list[int], children: dict[int, list[int]], seen: set[int]) -> None:
    todo = list(start)
    while todo:
        index = todo.pop()
        if index not in seen:
            seen.add(index)
            todo += children.get(index, ())
