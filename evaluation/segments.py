"""Divides what the application's CLIENT span of a call to cart took into segments that follow each other. Pure.

Client pod before, each hop of the request, server pod, each hop of the response, client pod behind. The server pod's
time is told apart by the application's own SERVER span. All together are the CLIENT span's.
"""

from collections.abc import Sequence
from typing import NamedTuple

from testbed.demo_verdict import CHAINS, find_exchanges
from testbed.topology import CART_SERVICE, FRONTEND_SERVICE, Service
from traceview.breakdown import Breakdown
from traceview.span import Span, SpanKind
from traceview.tree import Trace

BEFORE = "client pod, before the request"
SENT_AGAIN = "request sent again"
SENT_AGAIN_RESPONSE = "response sent again"
QUEUED = "server pod, before the application"
SERVER = "server application"
ANSWERED = "server pod, behind the application"
BEHIND = "client pod, behind the response"

APPLICATION_SCOPE = "shop"
"""Of the application's own spans; a sidecar's have another."""


class Exchange(NamedTuple):
    """One call, in ns: its segments by name in their order, and what the application's own spans show of it."""

    segments: dict[str, int]
    gap_ns: int
    """CLIENT less SERVER: all that Jaeger alone knows of the way between."""
    client_start_ns: int
    """When the application began to ask, epoch."""
    server_start_ns: int
    """When the application began to answer, epoch."""
    is_numbered: bool
    """The last sending of the request bears its number, if it is not the first."""


def divide_trace(trace: Trace) -> Exchange | None:
    """Return the call to cart in the trace, or nothing where a span or a hop of it is missing."""
    client = find_application_span(trace, FRONTEND_SERVICE.name, SpanKind.CLIENT, CART_SERVICE)
    server = find_application_span(trace, CART_SERVICE.name, SpanKind.SERVER, CART_SERVICE)
    exchange = next((found for _, found in find_exchanges((trace,), CART_SERVICE)), None)
    if client is None or server is None or exchange is None or not _is_whole(exchange):
        return None
    return _divide(client, server, exchange)


def name_segment(hop: str, direction: str, node: str) -> str:
    """Return a hop's name, direction and node in one."""
    return f"{hop} ({direction}, {node})"


def _divide(client: Span, server: Span, exchange: Breakdown) -> Exchange:
    request, response = _last_sending(exchange.request_hops), _last_sending(exchange.response_hops)
    request_start_ns = min(hop.start_ns for hop in exchange.request_hops)
    response_start_ns = min(hop.start_ns for hop in exchange.response_hops)
    again_ns = request[0].start_ns - request_start_ns
    again_back_ns = response[0].start_ns - response_start_ns
    arrived_ns = request[0].start_ns + _sum(request)
    answered_ns = response[0].start_ns + _sum(response)
    is_numbered = not again_ns or all(hop.attempt > 1 for hop in request)
    segments = {BEFORE: request_start_ns - client.start_ns, SENT_AGAIN: again_ns}
    segments |= {_name(hop): hop.duration_ns for hop in request}
    # Hops and application are told by one wall clock here; on two machines their clocks' difference would be in it.
    segments[QUEUED] = server.start_ns - arrived_ns
    segments[SERVER] = server.end_ns - server.start_ns
    segments[ANSWERED] = response_start_ns - server.end_ns
    segments[SENT_AGAIN_RESPONSE] = again_back_ns
    segments |= {_name(hop): hop.duration_ns for hop in response}
    segments[BEHIND] = client.end_ns - answered_ns
    return Exchange(segments, client.duration_ns - server.duration_ns, client.start_ns, server.start_ns, is_numbered)


def _name(hop: Span) -> str:
    return name_segment(hop.name, hop.direction.label, hop.node)


def find_application_span(trace: Trace, service: str, kind: SpanKind, asked: Service) -> Span | None:
    """Return the application's span of the call to the service that is asked; its name tells calls apart."""
    spans = (row.span for row in trace.rows)
    return next(
        (
            span
            for span in spans
            if (span.scope, span.service, span.kind) == (APPLICATION_SCOPE, service, kind) and asked.name in span.name
        ),
        None,
    )


def _is_whole(exchange: Breakdown) -> bool:
    """Say whether the last sending of both messages shows every hop."""
    hops = CHAINS[CART_SERVICE].hops
    return all(
        tuple(hop.name for hop in _last_sending(some)) == hops
        for some in (exchange.request_hops, exchange.response_hops)
    )


def _last_sending(hops: Sequence[Span]) -> list[Span]:
    """Return the latest hops, as many as a whole way has: numbers tell sendings apart only if they came in order."""
    return sorted(hops, key=lambda hop: hop.start_ns)[-len(CHAINS[CART_SERVICE].hops) :]


def _sum(hops: Sequence[Span]) -> int:
    return sum(hop.duration_ns for hop in hops)
