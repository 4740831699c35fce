"""Writes the demo's table over all requests: the times of each hop, and of it all what the CLIENT spans waited.

Pure. At most 80 cells wide. A p50 is a value that occurred: of an even number of values the lower middle one.
"""

from collections.abc import Iterator, Sequence
from statistics import median_low

from testbed.demo_verdict import CHAINS, find_exchanges
from traceview.breakdown import Breakdown
from traceview.span import Span
from traceview.text import format_us
from traceview.tree import Trace

_NAME_CELLS = 32
_FIGURE_CELLS = 10


def pick_typical(traces: Sequence[Trace]) -> Trace:
    """Return the trace of median duration: neither the first, cold one nor the slowest. `traces` is not empty."""
    return sorted(traces, key=lambda trace: trace.duration_ns)[(len(traces) - 1) // 2]


def render_summary(traces: Sequence[Trace], arrow: str) -> list[str]:
    """Return the lines of the table, a part for each service that was asked.

    An exchange of which a hop is missing, or one of whose messages TCP sent again, is left out.
    """
    lines: list[str] = []
    for service, chain in CHAINS.items():
        exchanges = [
            found for _, found in find_exchanges(traces, service) if _names(found) == (chain.hops, chain.hops)
        ]
        if exchanges:
            title = f"{chain.client} {arrow} {chain.server}, {len(exchanges)} times"
            lines += ["", *_render_exchanges(title, chain.hops, exchanges)]
    return lines


def _names(exchange: Breakdown) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(hop.name for hop in exchange.request_hops), tuple(hop.name for hop in exchange.response_hops)


def _render_exchanges(title: str, chain: Sequence[str], exchanges: Sequence[Breakdown]) -> Iterator[str]:
    cells = 2 * _FIGURE_CELLS
    yield f"{title:<{_NAME_CELLS}}{'request, us':>{cells}}{'response, us':>{cells}}"
    yield _render_line("", ("p50", "max", "p50", "max"))
    for place, name in enumerate(chain):
        # A name that comes twice belongs to either end of the way, in each direction seen from the message.
        end = "" if chain.count(name) == 1 else " (receiver)" if name in chain[:place] else " (sender)"
        requests = [exchange.request_hops[place] for exchange in exchanges]
        responses = [exchange.response_hops[place] for exchange in exchanges]
        yield _render_line(f"  {name}{end}", (*_describe_hops(requests), *_describe_hops(responses)))
    request_sums = [exchange.request_ns for exchange in exchanges]
    response_sums = [exchange.response_ns for exchange in exchanges]
    yield _render_line("  all hops", (*_describe(request_sums), *_describe(response_sums)))
    network = _describe([exchange.network_ns for exchange in exchanges])
    waited = _describe([exchange.duration_ns for exchange in exchanges])
    both_ways = "  both ways: p50 {}, max {}".format(*network)
    yield both_ways + "; CLIENT spans: p50 {}, max {}".format(*waited)


def _describe_hops(hops: Sequence[Span]) -> tuple[str, str]:
    return _describe([hop.duration_ns for hop in hops])


def _describe(values_ns: Sequence[int]) -> tuple[str, str]:
    """Return p50 and maximum."""
    return format_us(median_low(values_ns)), format_us(max(values_ns))


def _render_line(name: str, figures: Sequence[str]) -> str:
    return f"{name:<{_NAME_CELLS}}" + "".join(f"{figure:>{_FIGURE_CELLS}}" for figure in figures)
