"""Question 3's section of the report: what each way to watch costs requests, cores, memory and packets. Pure."""

from collections.abc import Callable, Iterator

from evaluation.markdown import format_us, render_measured_on, render_picture
from evaluation.results_cost import Change, CostResult, VariantCost
from evaluation.values import Estimate

COST_THROUGHPUT = "cost_throughput"
COST_LATENCY = "cost_latency"
COST_HOOKS = "cost_hooks"
PICTURES = (COST_THROUGHPUT, COST_LATENCY, COST_HOOKS)
"""Stems of the plots' files, each an SVG and a PNG beside the report."""

_TCPDUMP = "tcpdump"

_TEXT = """\
wrk in frontend's pod on node-1 asks nginx in cart's on node-2 for a few bytes, over veths, bridges and VXLAN: an
application that does next to nothing, so every microsecond of the network shows, which is the hardest case. The whole
node-probe runs on both nodes and sends to a peer that takes all and looks into none; client, server, both nodes, the
agents and that peer share the machine's cores, so what the peer takes is charged to hopspan. The agents run without
their limit of transits a second, which would spare what is measured. tcpdump is one process on each of the eight
devices of the way, 512 bytes a packet to /dev/null. Each variant runs between two runs without anything, and is
compared with their mean; the order of the variants turns each round.

Two loads: *saturation*, 32 connections that ask again at once, and a *steady* one of {steady} requests a second.
Latencies are wrk's, corrected for the requests that a late answer kept back (coordinated omission). Changes are
in percent of the runs without anything.
"""

_HOOKS = """\
The kernel's own run-time statistics of each program at saturation, requests, responses and all other packets mixed;
the statistics themselves add some 30 ns to a run. The first point of a node (`pod_egress`, `nic_ingress`) searches
for the context, the last one sends the record. *Exchange*: all programs on both nodes, for one request and its
response with all their packets.
"""


def render_cost(answer: CostResult) -> list[str]:
    """Return the section's lines, without its heading."""
    counts = (
        f"{answer.rounds} rounds of {len(answer.variants)} variants between runs without anything, "
        f"{answer.seconds_per_run} s each load; {answer.hook_rounds} rounds of the programs alone; "
        f"{answer.seconds:.0f} s in all."
    )
    lines = [_TEXT.format(steady=f"{answer.steady_rate.median:,.0f}")]
    lines += ["### Throughput, CPU and latency", "", *_render_loads(answer), ""]
    lines += render_picture(COST_THROUGHPUT, "Requests a second lost at saturation, and CPU time more an exchange")
    lines += render_picture(COST_LATENCY, "Growth of a request's p50 and p99 at the steady load")
    lines += ["### What watches: CPU and memory", "", *_render_own(answer.variants), ""]
    lines += ["### The kernel's programs", "", _HOOKS, *_render_hooks(answer), ""]
    lines += render_picture(COST_HOOKS, "Time of a run of each program, by the share of requests that are sampled")
    lines += ["### What comes out against us", "", *(list_doubts(answer) or ["Nothing in this run."]), ""]
    return [*lines, *render_measured_on(counts, answer.head)]


def list_doubts(answer: CostResult) -> list[str]:
    """Return what speaks against hopspan, a line each: what it costs beyond chance, and where tcpdump costs less."""
    doubts = []
    (tcpdump,) = (variant for variant in answer.variants if variant.name == _TCPDUMP)
    for variant in answer.variants:
        if variant is tcpdump:
            continue
        worse = [
            ("requests at saturation", variant.rate, tcpdump.rate, variant.rate.change.high < 0),
            ("CPU time of an exchange", variant.cpu_us, tcpdump.cpu_us, variant.cpu_us.change.low > 0),
            ("p50 at the steady load", variant.p50_us, tcpdump.p50_us, variant.p50_us.change.low > 0),
            ("p99 at the steady load", variant.p99_us, tcpdump.p99_us, variant.p99_us.change.low > 0),
        ]
        for what, ours, theirs, is_worse in worse:
            if is_worse:
                text = f"{what} {format_percents(ours.percent)}"
                doubts.append(f"- **{variant.name}**: {text}; tcpdump {format_percents(theirs.percent)}.")
        if variant.own_rss_mib.low > tcpdump.own_rss_mib.high:
            text = f"{variant.own_rss_mib.median:.0f} MiB a node"
            doubts.append(f"- **{variant.name}**: {text}, tcpdump {tcpdump.own_rss_mib.median:.0f}.")
        if variant.lost_percent.high > 0.005:  # noqa: PLR2004 - what the figure below would show as 0.01
            doubts.append(f"- **{variant.name}**: {_format(variant.lost_percent, 2)} % of the transits were lost.")
    return doubts


def format_percents(estimate: Estimate) -> str:
    """Return a change in percent with its sign, and its interval."""
    return f"{estimate.median:+.1f} % ({estimate.low:+.1f} to {estimate.high:+.1f})"


def _render_loads(answer: CostResult) -> Iterator[str]:
    yield "| | requests a second at saturation | CPU us an exchange | p99 at saturation | p50, steady | p99, steady |"
    yield "|---|---|---|---|---|---|"
    off = (answer.off_rate, answer.off_cpu_us, answer.off_p99_saturated_us, answer.off_p50_us, answer.off_p99_us)
    yield f"| off | {' | '.join(format_us(estimate.median) for estimate in off)} |"
    picks: tuple[Callable[[VariantCost], Change], ...] = (
        lambda variant: variant.rate,
        lambda variant: variant.cpu_us,
        lambda variant: variant.p99_saturated_us,
        lambda variant: variant.p50_us,
        lambda variant: variant.p99_us,
    )
    for variant in answer.variants:
        changes = [pick(variant) for pick in picks]
        cells = [f"{format_us(one.value.median)}<br>{format_percents(one.percent)}" for one in changes]
        yield f"| {variant.name} | {' | '.join(cells)} |"


def _render_own(variants: tuple[VariantCost, ...]) -> Iterator[str]:
    yield (
        "| | CPU us an exchange, saturation: all that it adds | of these what watches | and the peer "
        "| CPU, steady: % of a core a node | memory, MiB a node | lost over both loads, % |"
    )
    yield "|---|---|---|---|---|---|---|"
    for variant in variants:
        in_exchange = ((variant.cpu_us.change, 1), (variant.own_us, 1), (variant.peer_us, 1))
        figures = (*in_exchange, (variant.own_cpu_percent, 1), (variant.own_rss_mib, 0), (variant.lost_percent, 2))
        yield f"| {variant.name} | {' | '.join(_format(*figure) for figure in figures)} |"
    yield ""
    yield "What neither the processes nor the peer took is the kernel's: hopspan's programs, or tcpdump's copies."
    yield "hopspan is one process a node, tcpdump four. Lost: transits that were begun and not delivered, or packets"
    yield "that tcpdump's buffers had no room for; at saturation nothing leaves the agents a core of their own."


def _render_hooks(answer: CostResult) -> Iterator[str]:
    percents = [exchange.sampled_percent for exchange in answer.exchanges]
    by_hook = {(hook.program, hook.sampled_percent): hook.ns for hook in answer.hooks}
    yield f"| ns a run | {' | '.join(f'{percent} % sampled' for percent in percents)} |"
    yield f"|---|{'---|' * len(percents)}"
    for program in dict.fromkeys(hook.program for hook in answer.hooks):
        cells = [
            _format(by_hook[program, percent], 0) if (program, percent) in by_hook else "" for percent in percents
        ]
        yield f"| {program} | {' | '.join(cells)} |"
    yield f"| **exchange** | {' | '.join(_format(exchange.ns, 0) for exchange in answer.exchanges)} |"


def _format(estimate: Estimate, decimals: int) -> str:
    median, low, high = (f"{value:,.{decimals}f}" for value in (estimate.median, estimate.low, estimate.high))
    return f"{median} ({low} to {high})"
