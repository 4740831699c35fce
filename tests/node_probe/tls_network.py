"""A TLS connection between two nodes, event by event, as the client's node sees it, with the truth of what was sent.

A seeded simulation: writes of records become segments, which are split, lost and sent again; each carries the
acknowledgement that its side has at that moment.
"""

import heapq
import itertools
import random
from collections.abc import Callable

import msgspec

from tests.node_probe.kernel_model import Segment

MS = 10**6
US = 1000
MSS = 1448
_REMEMBERED = 400
READ_RECORDS = 4
"""The programs look at so many in a segment."""
OUTAGE_NS = 200 * MS
"""After it a lost segment is sent again."""


class Clock:
    """Events in the order of time."""

    def __init__(self) -> None:
        self.now_ns = 0
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._serial = itertools.count()

    def call_in(self, delay_ns: int, event: Callable[[], None]) -> None:
        """Have something happen later."""
        heapq.heappush(self._events, (self.now_ns + delay_ns, next(self._serial), event))

    def run_until(self, end_ns: int) -> None:
        """Let time pass."""
        while self._events and self._events[0][0] <= end_ns:
            self.now_ns, _, event = heapq.heappop(self._events)
            event()
        self.now_ns = end_ns


class Message(msgspec.Struct):
    """What one side wrote, as truth."""

    seq: int
    end: int


class Side:
    """One end of the connection: what it sends goes to `peer`, and is met by the first point of the client's node."""

    def __init__(self, clock: Clock, chance: random.Random, met: Callable[[Segment], None], latency_ns: int) -> None:
        self.peer: Side = self
        self.is_client = False
        self.on_bytes: Callable[[], None] = lambda: None
        self.loss = 0.0
        self._clock = clock
        self._chance = chance
        self._met = met
        self._latency_ns = latency_ns
        self._next = chance.getrandbits(32)
        self.received = 0
        """Sequence number that is acknowledged: the peer's bytes came up to there."""
        self._early: dict[int, int] = {}
        self._records: list[tuple[int, int, str]] = []
        self._tsval = chance.getrandbits(31)

    @property
    def next_seq(self) -> int:
        """Return the sequence number of the next byte."""
        return self._next % 2**32

    def meet_peer(self, peer: "Side") -> None:
        """Take up the connection."""
        self.peer, peer.peer = peer, self
        self.received, peer.received = peer.next_seq, self.next_seq

    def write(self, records: list[int], kinds: str = "") -> Message:
        """Send some records by one write; return where they lie.

        `kinds` has a letter for each that is no application data: `h`andshake, `c`hange of cipher.
        """
        start = self._next
        for length, kind in itertools.zip_longest(records, kinds, fillvalue="a"):
            self._records.append((self._next, int(length), str(kind)))
            self._next += int(length) + 5
        limit = self._chance.choice((MSS, 2 * MSS, 64000))
        at = start
        while at < self._next:
            size = min(limit, self._next - at)
            self._send(at, size)
            at += size
        return Message(start % 2**32, self._next % 2**32)

    def _send(self, at: int, size: int, attempt: int = 0) -> None:
        recent = self._records[-_REMEMBERED:]
        inside = [record for record in recent if at <= record[0] < at + size]
        begins = bool(inside) and inside[0][0] == at
        tsval = self._tsval = self._tsval + 1 + attempt
        ack = self.received % 2**32
        lengths = tuple(length for _, length, _ in inside)
        kinds = "".join(kind for _, _, kind in inside[:READ_RECORDS])
        lost = self._chance.random() < self.loss

        def meet() -> None:
            shakes = begins and kinds[0] != "a"
            changes = begins and "ch" in kinds
            self._met(Segment(self._clock.now_ns, at % 2**32, ack, size, begins, shakes, changes, lengths, tsval))

        if self.is_client:
            meet()
        elif not lost:
            self._clock.call_in(self._latency_ns, meet)
        if lost:
            self._clock.call_in(OUTAGE_NS, lambda: self._send(at, size, attempt + 1))
        else:
            way_ns = self._latency_ns if self.is_client else self._latency_ns + 2 * US
            self._clock.call_in(way_ns, lambda: self.peer.take(at, size))

    def take(self, at: int, size: int) -> None:
        """Receive a segment: what is in order is acknowledged and handed up."""
        at %= 2**32
        self._early[at] = size
        before = self.received
        while (size := self._early.pop(self.received, 0)) > 0:
            self.received = (self.received + size) % 2**32
        if self.received != before:
            self.on_bytes()
