"""Balances the books of HTTP/2 calls: what callers told, what a full decoder read off the tape, and what a sink got.

Each request that is to be measured, and its response, must be a transit at each node that it passes, with its own
stream and the place of its own frame; or it must lie where a segment holds more than the probe looks at.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from tests.peers.http2_tape import HEADERS, RST_STREAM, Frame, Headers, decode, read_sides
from tests.testbed.arrivals import Arrival
from tests.testbed.tape import Segment

FRAMES, STREAM_FRAMES, STEPPED = 64, 32, 64
"""How much of one segment the probe looks at: frames, and those of them that begin or reset a client's stream; and
over how many more it steps, lest it loses sight of the connection."""

TOO_MANY, UNFINISHED, ORPHAN = "http2_too_many", "request_unfinished", "response_no_exchange"
"""Why a probe may miss a message, by the names of its counts: too much is before it in its segment, the segment ends
in it, or its request was missed."""

LATE = "late"
"""Why it may miss a response, too: the client has reset the request meanwhile."""

_WAYS = {(1, 2, 3, 4), (5, 6, 7, 8), (1, 2, 7, 8)}
"""The points of a node: on the way out, on the way in, and from pod to pod."""

Context = tuple[bytes, bytes]
"""Trace id and parent's id."""


@dataclass(frozen=True, order=True)
class Told:
    """A message whose header block passed a first point of a node: what the node's transit of it must say."""

    node: str
    direction: str
    context: Context
    client: bytes
    client_port: int
    seq: int
    stream_id: int

    def __str__(self) -> str:
        where = f"{self.direction} at {self.node}, client port {self.client_port}, stream {self.stream_id}"
        return f"{where}, sequence number {self.seq}, {_describe(self.context)}"


@dataclass(frozen=True)
class Passage:
    """A message that is to be measured at a first point of a node, unless there is an excuse: a count, or LATE."""

    told: Told
    excuse: str


def read_context(headers: Headers) -> Context | None:
    """Return the context of a request that is to be measured."""
    parts = headers.get("traceparent").split("-")
    if len(parts) != 4 or not int(parts[3], 16) & 1:
        return None
    return bytes.fromhex(parts[1]), bytes.fromhex(parts[2])


def list_passages(segments: Sequence[Segment]) -> list[Passage]:
    """Return the messages on the tape, which has the connections from their beginning."""
    sides = read_sides(segment for segment in segments if segment.place.is_first)
    blocks = [block for frames in sides for block in decode(frames)]
    beyond = {id(frame) for frames in sides for frame in _find_beyond(frames)}
    contexts = {_name_exchange(block): context for block in blocks if (context := read_context(block))}
    resets = {
        (frame.segment.source, frame.segment.source_port, frame.stream_id)
        for frames in sides
        for frame in frames
        if frame.kind == RST_STREAM
    }
    missed: set[object] = set()
    passages: list[Passage] = []
    for block in sorted(blocks, key=lambda block: not block.is_request):
        exchange, frame = _name_exchange(block), block.frame
        context = contexts.get(exchange)
        if context is None or not (block.is_request or block.is_response):
            continue  # not to be measured, or trailers
        direction = "request" if block.is_request else "response"
        told = Told(frame.segment.place.node.name, direction, context, *exchange[:2], frame.seq, exchange[2])
        excuses = {
            TOO_MANY: id(frame) in beyond,
            UNFINISHED: block.is_request and frame.is_cut,
            ORPHAN: (told.node, exchange) in missed,
            LATE: block.is_response and exchange in resets,
        }
        excuse = next((name for name, applies in excuses.items() if applies), "")
        if block.is_request and excuse:
            missed.add((told.node, exchange))
        passages.append(Passage(told, excuse))
    return passages


def tell(arrival: Arrival) -> Told:
    """Return what a transit says."""
    sending = arrival.sending
    context = sending.trace_id, sending.parent_id
    return Told(
        arrival.node,
        sending.direction,
        context,
        sending.client,
        sending.client_port,
        sending.seq,
        arrival.stream_id,
    )


@dataclass(frozen=True)
class Balance:
    """What became of calls: those whose messages all are transits, and those with one that was missed for a reason.

    `lacking` are the messages that were missed, `differences`, a line each, where caller, tape and sink disagree.
    """

    whole: frozenset[Context]
    missed: frozenset[Context]
    lacking: tuple[Passage, ...]
    differences: tuple[str, ...]

    def describe(self) -> str:
        """Return the coverage."""
        calls = len(self.whole) + len(self.missed)
        return f"{len(self.whole)}/{calls} calls = {100 * len(self.whole) // max(calls, 1)} %"


def balance(
    made: Collection[Context], passages: Iterable[Passage], arrivals: Sequence[Arrival], segments: Sequence[Segment]
) -> Balance:
    """Compare what caller, tape and sink tell of these calls, and return what became of them.

    A message that TCP has sent again may have as many transits as there are segments of it.
    """
    calls = frozenset(made)
    expected = {passage.told: passage for passage in passages}
    arrived = Counter(map(tell, arrivals))
    lacking = [passage for told, passage in expected.items() if told not in arrived]
    on_wire = {told.context for told in expected if told.direction == "request"}
    differences = [f"called and not on the wire: {_describe(call)}" for call in calls - on_wire]
    differences += [f"sent and not on the wire: {told}" for told in set(arrived) - set(expected)]
    differences += [
        f"sent {number} times: {told}"
        for told, number in arrived.items()
        if number > 1 and number > _count_segments(told, segments)
    ]
    differences += [f"on the wire and not sent: {passage.told}" for passage in lacking if not passage.excuse]
    differences += [f"not whole: {arrival}" for arrival in arrivals if not _is_whole(arrival)]
    missed = [passage for passage in lacking if passage.excuse != LATE]
    contexts = frozenset(passage.told.context for passage in missed)
    return Balance(calls - contexts, contexts, tuple(missed), tuple(differences))


def _find_beyond(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Yield the frames of a side that are out of reach, since too many are before them."""
    is_lost = False
    for _, group in groupby(frames, key=lambda frame: id(frame.segment)):
        here = list(group)
        if is_lost and here[0].seq != here[0].segment.seq:
            yield from here
            continue
        reached = _count_reached(here)
        yield from here[reached:]
        is_lost = len(here) > reached + STEPPED


def _count_reached(frames: Sequence[Frame]) -> int:
    """Return how many of a segment's frames are looked at."""
    begun = 0
    for number, frame in enumerate(frames[:FRAMES]):
        if begun == STREAM_FRAMES:
            return number
        begun += frame.kind in {HEADERS, RST_STREAM} and frame.stream_id % 2
    return min(len(frames), FRAMES)


def _name_exchange(block: Headers) -> tuple[bytes, int, int]:
    """Return the client's address and port, and the stream."""
    segment = block.frame.segment
    if block.is_request:
        return segment.source, segment.source_port, block.frame.stream_id
    return segment.destination, segment.destination_port, block.frame.stream_id


def _count_segments(told: Told, segments: Sequence[Segment]) -> int:
    """Return how many segments with the message's first byte passed a first point of the node."""
    here = [segment for segment in segments if segment.place.is_first and segment.place.node.name == told.node]
    return sum(
        told.client_port in {segment.source_port, segment.destination_port}
        and (told.seq - segment.seq) % (1 << 32) < len(segment.payload)
        for segment in here
    )


def _is_whole(arrival: Arrival) -> bool:
    times = list(arrival.times_ns)
    return arrival.points in _WAYS and not arrival.is_partial and times == sorted(times)


def _describe(context: Context) -> str:
    return "-".join(part.hex() for part in context)
