"""Compare the hops that traces show with the chains that their exchanges must show. Pure: no IO, no clock."""

from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher

import msgspec

from traceview.breakdown import find_hops, find_servers
from traceview.span import Direction, Span, SpanKind
from traceview.text import make_visible
from traceview.tree import Trace

OVERLAY_CHAIN = ("veth-hop", "host-forward", "vxlan-encap", "underlay", "vxlan-decap", "host-forward", "veth-hop")
"""Each way between pods of two nodes, all points seen."""

SAME_NODE_CHAIN = ("veth-hop", "host-forward", "veth-hop")
"""Each way between pods of one node, all points seen."""


class Expectation(msgspec.Struct, frozen=True):
    """Every trace holds an exchange of these two services, whose CLIENT span shows these hops each way."""

    client: str
    server: str
    hops: tuple[str, ...]


class Verdict(msgspec.Struct, frozen=True):
    """What was found in one trace; without faults it shows every chain in full."""

    trace_id: bytes
    faults: tuple[str, ...]


def check_traces(traces: Iterable[Trace], expectations: Sequence[Expectation]) -> tuple[Verdict, ...]:
    """Return one verdict a trace, in their order."""
    return tuple(Verdict(trace.trace_id, tuple(_check_trace(trace, expectations))) for trace in traces)


def missing_chains(traces: Iterable[Trace], expectations: Sequence[Expectation]) -> list[str]:
    """Return a sentence for every fault: an exchange or a hop missing, unexpected, doubled or out of order.

    A sentence names the trace id, and where there is one the parent span, the direction and the hops. An empty list
    means that every trace shows every chain, and no hop beside.
    """
    return [fault for verdict in check_traces(traces, expectations) for fault in verdict.faults]


def _check_trace(trace: Trace, expectations: Sequence[Expectation]) -> list[str]:
    where = f"trace {trace.trace_id.hex()}"
    faults: list[str] = []
    expected: set[int] = set()
    for expectation in expectations:
        exchanges = _find_exchanges(trace, expectation)
        expected.update(exchanges)
        if not exchanges:
            pair = f"{expectation.client} whose server is {expectation.server}"
            faults.append(f"{where}: no CLIENT span of {pair}")
        for index in exchanges:
            hops = find_hops(trace, index)
            parent = f"{where}: {_name_span(trace.rows[index].span)} to {expectation.server}"
            faults += (f"{parent}: {fault}" for fault in _check_exchange(hops, expectation.hops))
    return faults + [f"{where}: {stray}" for stray in _find_strays(trace, expected)]


def _find_exchanges(trace: Trace, expectation: Expectation) -> list[int]:
    return [
        index
        for index, row in enumerate(trace.rows)
        if row.span.kind == SpanKind.CLIENT
        and not row.span.is_network
        and row.span.service == expectation.client
        and any(server.service == expectation.server for server in find_servers(trace, index))
    ]


def _find_strays(trace: Trace, expected: set[int]) -> list[str]:
    """Return the spans that have hops though no expectation names them, and the hops without a parent."""
    strays: dict[int, list[str]] = {}
    for row in trace.rows:
        if row.span.is_network and row.parent not in expected:
            strays.setdefault(row.parent, []).append(f"{row.span.direction.label} {make_visible(row.span.name)}")
    return [
        f"{_name_span(trace.rows[parent].span) if parent >= 0 else 'no parent span'}: unexpected {', '.join(hops)}"
        for parent, hops in strays.items()
    ]


def _check_exchange(hops: Sequence[Span], chain: tuple[str, ...]) -> list[str]:
    faults: list[str] = []
    for direction in Direction:
        attempts: dict[int, list[Span]] = {}
        for hop in hops:
            if hop.direction == direction:
                attempts.setdefault(hop.attempt, []).append(hop)
        # A message that TCP sent again is complete when one of its sendings is: the others may have been lost.
        compared = [_compare_chain(attempts[attempt], chain) for attempt in sorted(attempts)] or [["no hops"]]
        if all(compared):
            faults += (f"{direction.label}: {fault}" for fault in compared[-1])
    return faults


def _compare_chain(hops: Sequence[Span], chain: tuple[str, ...]) -> list[str]:
    names = tuple(hop.name for hop in hops)
    missing: list[int] = []
    extra: list[str] = []
    for change, i1, i2, j1, j2 in SequenceMatcher(None, chain, names, autojunk=False).get_opcodes():
        if change != "equal":
            missing += range(i1, i2)
            extra += names[j1:j2]
    faults: list[str] = []
    for place in missing:
        name = chain[place]
        if name in extra:
            extra.remove(name)
            faults.append(f"{name} (hop {place + 1} of {len(chain)}) in wrong order")
        else:
            faults.append(f"{name} (hop {place + 1} of {len(chain)}) missing")
    faults += (
        f"{make_visible(name)} {'duplicated' if name in chain else 'unexpected'}" for name in dict.fromkeys(extra)
    )
    points = [f"{hop.missed} not seen by {make_visible(hop.name)}" for hop in hops if hop.missed]
    return [", ".join(faults + points) + f"; got {make_visible(' > '.join(names))}"] if faults else []


def _name_span(span: Span) -> str:
    return f'{make_visible(span.service)} "{make_visible(span.name)}" (span {span.span_id.hex()})'
