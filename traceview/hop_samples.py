"""Gather the durations of hops from spans, by what is comparable: the same way between the same points. Pure.

Beside each hop two sums are gathered for exchanges of which both messages were seen, each sent once: the wire there
and back, in which the difference between two nodes' clocks cancels but for its drift; and all hops from one end to
the other, which stays comparable where the hops between are others than before.
"""

from collections.abc import Iterable, Mapping
from itertools import pairwise

import msgspec

from traceview.quantile_shift import Samples, sort_samples
from traceview.span import POINTS, Direction, Span, read_text

MAX_HOPS = 300_000
"""Kept of one set: some 200 MB."""

BOTH_WAYS = "both"

ALL_HOPS = ("all hops, one node", "all hops, two nodes")
"""Names of the sum of an exchange, by whether it crosses nodes: these are never alike."""

WIRE = ("nic-egress", "nic-ingress")

FIRST_FAR_POINT = POINTS.index("nic-ingress")

EVERYWHERE = ""
"""The nodes of samples that are not told apart by them."""


class HopKey(msgspec.Struct, frozen=True):
    """What is compared with its like."""

    nodes: str
    """`A > B` in the message's direction; one name where both ends are on one node; or EVERYWHERE."""
    direction: str
    """`request`, `response`, or BOTH_WAYS of a sum."""
    place: int
    """Where the hop begins among the points; sums have an order of their own."""
    name: str
    start: str = ""
    end: str = ""
    """The points; of all hops together the ends of the request, and those of the response."""

    @property
    def order(self) -> tuple[object, ...]:
        """Return what sorts keys as a message meets its points, requests first, sums last."""
        directions = (Direction.REQUEST.label, Direction.RESPONSE.label, BOTH_WAYS)
        return self.nodes, directions.index(self.direction), self.place, self.name, self.start, self.end


class HopSet(msgspec.Struct, frozen=True):
    """The samples of one set of traces."""

    samples: Mapping[HopKey, Samples]
    traces: int
    """Traces that have hops."""
    hops: int
    copies: int = 0
    """Hops that came more than once; each counts once."""
    beyond: int = 0
    """Hops left out beyond MAX_HOPS."""

    def describe(self) -> tuple[str, ...]:
        """Return a sentence for each reason why hops were left out."""
        found = []
        if self.copies:
            found.append(f"hops that came again, counted once: {self.copies}")
        if self.beyond:
            found.append(f"left out, hops beyond the first {MAX_HOPS}: {self.beyond}")
        return tuple(found)


class _Hop(msgspec.Struct, frozen=True):
    """What is kept of a span."""

    name: str
    start: str
    end: str
    node: str
    duration_ns: int
    uncertainty_ns: int
    offset_ns: int | None
    """The difference between the clocks of both ends, as it was estimated for this message."""
    attempt: int


_Message = tuple[bytes, bytes, Direction]


class HopCollector:
    """Takes spans one after the other, and keeps of hops what a comparison needs, of others nothing."""

    def __init__(self) -> None:
        """Begin without any."""
        self._messages: dict[_Message, list[_Hop]] = {}
        self._seen: set[bytes] = set()
        self._copies = 0
        self._beyond = 0

    def add(self, spans: Iterable[Span]) -> None:
        """Take more spans."""
        for span in spans:
            if span.is_network:
                self._add_hop(span)

    def _add_hop(self, span: Span) -> None:
        identity = span.trace_id + span.span_id
        if identity in self._seen:
            self._copies += 1
        elif len(self._seen) >= MAX_HOPS:
            self._beyond += 1
        else:
            self._seen.add(identity)
            message = (span.trace_id, span.parent_id, span.direction)
            self._messages.setdefault(message, []).append(_shorten(span))

    def finish(self, *, by_nodes: bool) -> HopSet:
        """Return the samples of all spans that were added; `by_nodes` tells messages between other nodes apart."""
        durations: dict[HopKey, list[tuple[int, int]]] = {}
        for (*_, direction), hops in self._messages.items():
            nodes = _name_nodes(hops) if by_nodes else EVERYWHERE
            for hop in hops:
                key = HopKey(nodes, direction.label, _find_place(hop.start), hop.name, hop.start, hop.end)
                durations.setdefault(key, []).append((hop.duration_ns, hop.uncertainty_ns))
        for message, requests in self._messages.items():
            responses = self._messages.get((*message[:2], Direction.RESPONSE), [])
            if message[2] is Direction.REQUEST and responses:
                nodes = _name_nodes(requests) if by_nodes else EVERYWHERE
                for key, total_ns in _sum_exchange(nodes, requests, responses):
                    durations.setdefault(key, []).append((total_ns, _find_drift(requests, responses)))
        samples = {key: sort_samples(*zip(*pairs, strict=True)) for key, pairs in durations.items()}
        traces = len({trace_id for trace_id, *_ in self._messages})
        return HopSet(samples, traces, len(self._seen), self._copies, self._beyond)


def _shorten(span: Span) -> _Hop:
    start, end = read_text(span.attributes, "hopspan.from"), read_text(span.attributes, "hopspan.to")
    within_ns, offset_ns = (span.attributes.get(f"hopspan.clock.{key}_ns") for key in ("uncertainty", "offset"))
    # Only stamps of two clocks are known to within something: other hops begin and end on one node.
    crosses = _find_place(start) < FIRST_FAR_POINT <= _find_place(end) < len(POINTS)
    return _Hop(
        name=span.name,
        start=start,
        end=end,
        node=span.node,
        duration_ns=span.duration_ns,
        uncertainty_ns=abs(within_ns) if crosses and isinstance(within_ns, int) else 0,
        offset_ns=offset_ns if crosses and isinstance(offset_ns, int) else None,
        attempt=span.attempt,
    )


def _find_place(point: str) -> int:
    return POINTS.index(point) if point in POINTS else len(POINTS)


def _name_nodes(hops: list[_Hop]) -> str:
    first, last = (found(hops, key=lambda hop: _find_place(hop.start)).node or "?" for found in (min, max))
    return first if first == last else f"{first} > {last}"


def _sum_exchange(nodes: str, requests: list[_Hop], responses: list[_Hop]) -> Iterable[tuple[HopKey, int]]:
    """Yield the sums of an exchange; none where a message was sent again, for its sendings overlap."""
    both = [*requests, *responses]
    if any(hop.attempt > 1 for hop in both):
        return
    wires = [[hop for hop in hops if (hop.start, hop.end) == WIRE] for hops in (requests, responses)]
    if all(len(found) == 1 for found in wires):
        key = HopKey(nodes, BOTH_WAYS, 0, wires[0][0].name, *WIRE)
        yield key, sum(found[0].duration_ns for found in wires)
    ends = [_find_ends(hops) for hops in (requests, responses)]
    if all(ends):
        name = ALL_HOPS[len({hop.node for hop in both}) > 1]
        yield HopKey(nodes, BOTH_WAYS, 1, name, *ends), sum(hop.duration_ns for hop in both)


def _find_drift(requests: list[_Hop], responses: list[_Hop]) -> int:
    """Return by how much the estimate of the clocks moved between both messages: so far their sum is not exact."""
    offsets = [hop.offset_ns for hop in (*requests, *responses) if hop.offset_ns is not None]
    return max(offsets) - min(offsets) if offsets else 0


def _find_ends(hops: list[_Hop]) -> str:
    """Return the first and last point of hops that follow each other without a gap, "" of others."""
    chain = sorted(hops, key=lambda hop: _find_place(hop.start))
    is_whole = all(one.end == next_one.start for one, next_one in pairwise(chain))
    return f"{chain[0].start} > {chain[-1].end}" if is_whole and chain[0].start else ""
