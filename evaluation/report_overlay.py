"""Question 5's section of the report: each hop by each way, what many services add, and where. Pure."""

from collections.abc import Callable, Iterator, Sequence

from evaluation.markdown import format_estimate, render_measured_on, render_picture
from evaluation.overlay_calls import VXLAN, name_hops
from evaluation.overlay_rounds import BEFORE, CALL, CONNECT, FEW, KEPT, MANY, NETWORK, NEW, SILENT, WAYS
from evaluation.results_overlay import Case, Difference, OverlayResult, Passages, find_time

OVERLAY_HOPS = "overlay_hops"
OVERLAY_SERVICES = "overlay_services"
PICTURES = (OVERLAY_HOPS, OVERLAY_SERVICES)
"""Stems of the plots' files, each an SVG and a PNG beside the report."""

_SUMS = {"network_us": NETWORK, "before_us": BEFORE, "connect_us": CONNECT, "call_us": CALL}
"""Fields of a case, below its hops."""

_TEXT = """\
Frontend on node-1 asks cart on node-2 and catalog on node-1, each by its ClusterIP and through Envoy sidecars, with
node-probe on both nodes. Between the nodes the way is **VXLAN**, as flannel has it, or **host-gw**: the same nodes,
whose routes lead past the VXLAN device. Services are those of kube-proxy in its iptables mode, {few} or {many}: a
rule each in KUBE-SERVICES and two chains, ours behind all others, which is the worst case. Connections between
sidecars are kept, or each request has a new one. Times are the median call of a round, then the median over rounds.
"""

_WHY = """\
**Where the rules show.** KUBE-SERVICES is a chain of the table nat, and only the first packet of a
connection goes through that table: what conntrack knows is translated without it. That first packet is the SYN, which
bears no HTTP, so it is no message and has no hops; the request follows on a connection that stands, be it the first
one or the hundredth. So with kept connections nobody pays for the rules, and with new ones each call pays before its
request is sent: the time is in *client pod, before the request*, which `hopspan trace` counts to the remainder.
connect(2), by a socket of the evaluation's own, makes a new connection in all cases and pays in all.

With VXLAN that is not all. The outer packets are UDP flows, which conntrack forgets when they were silent for 30 s,
and then the next one is new again: also that of a message on a kept connection. It passes the rules at the end of
encapsulation and at the beginning of decapsulation, so **after silence** `vxlan-encap` and `vxlan-decap` bear them.
(Here the kernel forgets after 1 s, and 1.6 s lie before each request.)
"""

_PASSAGES = """\
Packets that pass KUBE-SERVICES on both nodes together while a connection is made, as a rule at its head counts them:
{told}.
The SYN is new to each node that it comes to. And a tunnel's outer packets are connections of their own to conntrack,
another one for each connection inside and each direction: new to the node that sends them (OUTPUT) and to the
one that they come to (PREROUTING).
"""

_WARM = """\
Hops of kept and of new connections are not to be compared as these are: the two kinds ran one after the other. Where
those of new connections are shorter, the handshake has gone the same way right before and left it in the caches.
"""


def render_overlay(answer: OverlayResult) -> list[str]:
    """Return the section's lines, without its heading."""
    calls = sum(case.calls for case in answer.cases)
    counts = (
        f"{answer.rounds} rounds for each kind of connection, each four runs of {answer.requests_per_run} requests, "
        "and two of 3 after silence; "
        f"{calls:,} calls; {answer.rules}; {answer.seconds:.0f} s in all."
    )
    lines = [_TEXT.format(few=FEW, many=f"{MANY:,}")]
    lines += [f"Each hop with {FEW} services and kept connections:", "", *_render_hops(answer.cases, KEPT, FEW), ""]
    lines += render_picture(OVERLAY_HOPS, "Each hop by VXLAN, by host-gw and on the same node")
    lines += ["By how much one way takes more than the next simpler one:", "", *_render_ways(answer.by_way), ""]
    lines += [f"By how much a call takes more with {MANY:,} services than with {FEW}:", ""]
    lines += [*_render_services(answer.by_services), "", _WHY, _render_passages(answer.passages), _WARM]
    lines += render_picture(OVERLAY_SERVICES, "What thousands of services add, and where")
    lines += ["### What comes out against us in overlays", "", *(f"- {doubt}." for doubt in list_doubts(answer)), ""]
    lines += ["### Each hop of the other cases", ""]
    for connection in (KEPT, SILENT, NEW):
        for services in (FEW, MANY):
            if (connection, services) == (KEPT, FEW):
                continue  # stands above
            lines += [f"#### {services:,} services, connections {connection}", ""]
            lines += [*_render_hops(answer.cases, connection, services), ""]
    return [*lines, *render_measured_on(counts, answer.head)]


def list_doubts(answer: OverlayResult) -> list[str]:
    """Return what speaks against us, a sentence each."""
    doubts = [
        f"{case.incomplete} of {case.calls} calls by {case.way} ({case.services:,} services, connections "
        f"{case.connection}) did not show all their hops"
        for case in answer.cases
        if case.incomplete
    ]
    doubts += [
        f"the rules that a new connection passes ({one.second}: {format_estimate(one.more_us)} us) are in no hop: "
        "the trace shows them as time before the request, without a name"
        for one in answer.by_services
        if (one.connection, one.what) == (NEW, BEFORE) and one.more_us.low > 0
    ]
    return doubts or ["Nothing in this run: all calls showed all their hops, and rules cost no call anything sure"]


def _render_hops(cases: Sequence[Case], connection: str, services: int) -> Iterator[str]:
    """Yield a table of all hops by all ways; a way without the hop has no time there."""
    chosen = {case.way: case for case in cases if (case.connection, case.services) == (connection, services)}
    yield f"| hop | {' | '.join(WAYS)} |"
    yield "|---" * (1 + len(WAYS)) + "|"
    for name in name_hops(VXLAN):
        cells = (find_time(chosen[way], name) if way in chosen else None for way in WAYS)
        yield f"| {name} | " + " | ".join(format_estimate(cell) if cell else "" for cell in cells) + " |"
    for field, label in _SUMS.items():
        cells = (getattr(chosen[way], field) if way in chosen else None for way in WAYS)
        yield f"| *{label}* | " + " | ".join(format_estimate(cell) if cell else "" for cell in cells) + " |"


def _render_passages(passages: Sequence[Passages]) -> str:
    """Return what a rule at the head of KUBE-SERVICES counted."""
    told = ", ".join(f"{one.packets / one.connections:.1f} by {one.way}" for one in passages)
    return _PASSAGES.format(told=told)


def _render_ways(differences: Sequence[Difference]) -> Iterator[str]:
    yield f"| more in | than in | connections | {NETWORK} | {CALL} |"
    yield "|---|---|---|---|---|"
    yield from _render_rows(differences, (NETWORK, CALL), lambda one: (one.second, one.first, one.connection))


def _render_services(differences: Sequence[Difference]) -> Iterator[str]:
    yield f"| way | connections | {NETWORK} | {BEFORE} | {CONNECT} | {CALL} |"
    yield "|---|---|---|---|---|---|"
    whats = (NETWORK, BEFORE, CONNECT, CALL)
    yield from _render_rows(differences, whats, lambda one: (one.second, one.connection))


def _render_rows(
    differences: Sequence[Difference], whats: Sequence[str], name: Callable[[Difference], tuple[str, ...]]
) -> Iterator[str]:
    """Yield a line for each name, with what is compared in columns."""
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for one in differences:
        rows.setdefault(name(one), {})[one.what] = format_estimate(one.more_us)
    for names, cells in rows.items():
        yield f"| {' | '.join((*names, *(cells[what] for what in whats)))} |"
