"""Divide the time that a span with network spans waited into network, server and remainder. Pure.

The network spans time the first packet of each message; what is neither that nor the server is the remainder:
connection set-up, later segments, retransmissions, sockets and applications.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from traceview.span import Direction, Span, SpanKind
from traceview.tree import Trace

MAX_GENERATIONS = 20
"""Between a span and its server; a chain of 100,000 spans with a hop each would be searched for hours otherwise."""


class Breakdown(msgspec.Struct, frozen=True):
    """Where the time of one exchange went, as its parent span saw it."""

    parent: Span
    request_hops: tuple[Span, ...]
    response_hops: tuple[Span, ...]
    servers: tuple[Span, ...]
    """The nearest SERVER spans below the parent; more than one where the exchange was tried again."""
    request_ns: int
    response_ns: int
    server_ns: int

    @property
    def duration_ns(self) -> int:
        """Return how long the parent waited."""
        return self.parent.duration_ns

    @property
    def network_ns(self) -> int:
        """Return the time of the hops of both directions."""
        return self.request_ns + self.response_ns

    @property
    def remainder_ns(self) -> int:
        """Return what is neither network nor server, never negative."""
        return max(0, self.duration_ns - self.network_ns - self.server_ns)

    @property
    def server_service(self) -> str:
        """Return the service that answered, `?` where no SERVER span is there."""
        return self.servers[0].service if self.servers else "?"

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what makes the figures less than exact, one sentence each."""
        found = []
        if not self.servers:
            found.append("no SERVER span below it: the remainder holds the server's time too")
        if self.network_ns + self.server_ns > self.duration_ns:
            found.append("network and server together exceed the span: their clocks differ, or a hop was cut")
        cut = sum(hop.clipped for hop in (*self.request_hops, *self.response_hops))
        if cut:
            found.append(f"{cut} of its hops reach beyond the span and are drawn cut; the figures are uncut")
        found += [
            f"no hops of the {direction.label}"
            for direction, hops in zip(Direction, (self.request_hops, self.response_hops), strict=True)
            if not hops
        ]
        return tuple(found)


def break_down(trace: Trace) -> tuple[Breakdown, ...]:
    """Return a breakdown for every span of the trace that has network spans, in the order of the rows."""
    return tuple(
        _divide_span(row.span, hops, find_servers(trace, index))
        for index, row in enumerate(trace.rows)
        if not row.span.is_network and (hops := find_hops(trace, index))
    )


def find_hops(trace: Trace, index: int) -> tuple[Span, ...]:
    """Return the network spans right below the row at `index`."""
    below = (trace.rows[child].span for child in trace.rows[index].children)
    return tuple(span for span in below if span.is_network)


def find_servers(trace: Trace, index: int) -> tuple[Span, ...]:
    """Return the nearest SERVER spans below the row at `index`: all those of the first generation that has one.

    The search ends at a CLIENT or PRODUCER span: beyond it lies another exchange. It ends after MAX_GENERATIONS, too.
    """
    generation: Sequence[int] = trace.rows[index].children
    for _ in range(MAX_GENERATIONS):
        spans = [trace.rows[child].span for child in generation]
        if servers := tuple(span for span in spans if span.kind == SpanKind.SERVER and not span.is_network):
            return servers
        generation = list(_descend(trace, generation))
    return ()


def _descend(trace: Trace, generation: Iterable[int]) -> Iterator[int]:
    for child in generation:
        if trace.rows[child].span.kind not in (SpanKind.CLIENT, SpanKind.PRODUCER):
            yield from trace.rows[child].children


def _divide_span(parent: Span, hops: Sequence[Span], servers: tuple[Span, ...]) -> Breakdown:
    request = tuple(hop for hop in hops if hop.direction == Direction.REQUEST)
    response = tuple(hop for hop in hops if hop.direction == Direction.RESPONSE)
    return Breakdown(
        parent=parent,
        request_hops=request,
        response_hops=response,
        servers=servers,
        request_ns=_time_hops(request),
        response_ns=_time_hops(response),
        server_ns=_cover(servers),
    )


def _time_hops(hops: Sequence[Span]) -> int:
    """Return the time of one direction's hops.

    The hops of one sending follow each other, so their exact durations add up. Sendings of one message overlap where
    the first was late, not lost: then only time that any hop covers counts, once.
    """
    if len({hop.attempt for hop in hops}) > 1:
        return _cover(hops)
    return sum(hop.duration_ns for hop in hops)


def _cover(spans: Iterable[Span]) -> int:
    """Return the length of the union of the spans."""
    covered_ns, reached_ns = 0, 0
    for start_ns, end_ns in sorted((span.start_ns, span.start_ns + span.duration_ns) for span in spans):
        covered_ns += max(0, end_ns - max(start_ns, reached_ns))
        reached_ns = max(reached_ns, end_ns)
    return covered_ns
