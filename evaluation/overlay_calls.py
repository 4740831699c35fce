"""Divides a call of the frontend into its hops by whichever way: each bears the side where it is. Pure."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from evaluation.segments import find_application_span
from testbed.demo_verdict import find_exchanges
from testbed.topology import FRONTEND_SERVICE, Service
from traceview.span import Span, SpanKind
from traceview.tree import Trace
from traceview.verify import OVERLAY_CHAIN, SAME_NODE_CHAIN

VXLAN, HOST_GW, SAME_NODE = "VXLAN", "host-gw", "same node"

DIRECT_CHAIN = ("veth-hop", "host-forward", "underlay", "host-forward", "veth-hop")
"""Each way between pods of two nodes without a tunnel, all points seen."""

CHAINS = {VXLAN: OVERLAY_CHAIN, HOST_GW: DIRECT_CHAIN, SAME_NODE: SAME_NODE_CHAIN}


class Call(NamedTuple):
    """A call, in ns: its hops by name in their order, and what is around them."""

    hops: dict[str, int]
    start_ns: int
    """Of the application's CLIENT span, epoch."""
    before_ns: int
    """From there until the request is at the first point."""
    duration_ns: int


def name_hops(way: str) -> list[str]:
    """Return the names of all hops of both directions; those that occur on both sides say which one they are of."""
    return [f"{name}, {direction}" for direction in ("request", "response") for name in _name_places(CHAINS[way])]


def read_call(trace: Trace, way: str, service: Service) -> Call | None:
    """Return the call to the service, or nothing where a span or a hop is missing, or one was sent twice."""
    client = find_application_span(trace, FRONTEND_SERVICE.name, SpanKind.CLIENT, service)
    exchange = next((found for _, found in find_exchanges((trace,), service)), None)
    if client is None or exchange is None:
        return None
    hops = [sorted(some, key=_tell_start) for some in (exchange.request_hops, exchange.response_hops)]
    if any(tuple(hop.name for hop in some) != CHAINS[way] for some in hops):
        return None
    durations = (hop.duration_ns for some in hops for hop in some)
    named = dict(zip(name_hops(way), durations, strict=True))
    return Call(named, client.start_ns, hops[0][0].start_ns - client.start_ns, client.duration_ns)


def _name_places(chain: Sequence[str]) -> Iterator[str]:
    for place, name in enumerate(chain):
        if chain.count(name) == 1:
            yield name
        else:
            yield f"{name} ({'sender' if place < len(chain) / 2 else 'receiver'})"


def _tell_start(hop: Span) -> int:
    return hop.start_ns
