"""The claims on their way to agents: takes in what spans and answers tell, sends batches on the agents' streams.

Pure but for the lock. What is claimed is the book's to say. A stream is sent one batch at a time, so that a slow
agent holds up nobody else, and its own claims wait in a bounded queue.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgspec

from collector_plugin.claim_book import ClaimBook
from collector_plugin.reasons import ClaimReason
from hopspan.flow_claims import MAX_BATCH_CLAIMS, Hello, IntervalClaim, encode_batch
from hopspan.logs import Log
from hopspan.metrics import Metric, count, count_by, gauge
from node_probe.wire_batch import RawBatch

MAX_AGENTS = 10_000
"""Twice the nodes that Kubernetes supports."""

HEARTBEAT_NS = 30 * 10**9
"""A stream without claims gets an empty batch so often: a middlebox keeps it, and a peer that has gone is noticed."""

STALL_NS = 60 * 10**9
"""An agent that has not taken a batch for so long has gone; it comes again if not."""


class Stream(Protocol):
    """What an agent listens to. Neither method waits, or calls back before it returns."""

    def send(self, message: bytes, done: Callable[[bool], None]) -> None:
        """Send a batch; `done` is told whether it left."""

    def cancel(self) -> None:
        """Break it off."""


class _Agent(msgspec.Struct):
    stream: Stream
    sent_ns: int
    is_busy: bool = False


class Claims:
    """All agents' streams. Safe to use from several threads."""

    def __init__(self, log: Log) -> None:
        """Start without agents."""
        self.log = log
        self._lock = threading.Lock()
        self._book = ClaimBook()
        self._agents: dict[int, _Agent] = {}
        self._next = 0
        self._has_ended = False
        self._replaced = self._stalled = 0

    @property
    def size_bytes(self) -> int:
        """Return the memory that claims take which wait, estimated."""
        with self._lock:
            return self._book.size_bytes

    def open(self, stream: Stream, hello: Hello, now_ns: int) -> int | None:
        """Let an agent listen; return its number, None where no more are taken. A former stream of its node ends."""
        with self._lock:
            if len(self._agents) >= MAX_AGENTS or self._has_ended:
                return None
            self._next += 1
            number = self._next
            self._agents[number] = _Agent(stream, now_ns)
            former = self._book.add_agent(number, hello.node)
            if former is not None:
                self._replaced += 1
                self._agents.pop(former).stream.cancel()
            return number

    def close(self, number: int) -> None:
        """Forget an agent that has gone."""
        with self._lock:
            self._forget(number)

    def end(self) -> None:
        """Break off all streams, and take no more: the plugin ends."""
        with self._lock:
            self._has_ended = True
            for number in list(self._agents):
                self._agents[number].stream.cancel()
                self._forget(number)

    def take_in(self, spans: Sequence[IntervalClaim | ClaimReason], batches: Sequence[RawBatch], now_ns: int) -> None:
        """Take in what a request told: flows that its CLIENT spans name, and answers of agents."""
        with self._lock:
            self._book.add_spans(spans, now_ns)
            for batch in batches:
                self._book.add_answers(batch.node.name, batch.transits, now_ns)
            for number in list(self._agents):
                self._send_full(number, now_ns)

    def flush(self, now_ns: int) -> None:
        """Send what waits, and drop what waited too long."""
        with self._lock:
            self._book.expire(now_ns)
            for number, agent in list(self._agents.items()):
                if not agent.is_busy:
                    self._send(number, agent, now_ns)
                elif now_ns - agent.sent_ns > STALL_NS:
                    self._stalled += 1
                    agent.stream.cancel()
                    self._forget(number)

    def read_metrics(self) -> Iterator[Metric]:
        """Yield the metrics of this moment."""
        with self._lock:
            yield from self._read_metrics()

    def _send_full(self, number: int, now_ns: int) -> None:
        """Send a batch where a whole one waits."""
        agent = self._agents.get(number)
        if agent is not None and not agent.is_busy and self._book.count_waiting(number) >= MAX_BATCH_CLAIMS:
            self._send(number, agent, now_ns)

    def _send(self, number: int, agent: _Agent, now_ns: int) -> None:
        batch = self._book.take(number, now_ns)
        if batch is None and now_ns - agent.sent_ns >= HEARTBEAT_NS:
            batch = encode_batch([])
        if batch is None:
            return

        def done(has_left: bool) -> None:  # noqa: FBT001 - as Stream has it
            with self._lock:
                agent.is_busy = False
                if has_left:
                    self._send_full(number, now_ns)

        agent.is_busy, agent.sent_ns = True, now_ns
        agent.stream.send(batch, done)

    def _forget(self, number: int) -> None:
        self._agents.pop(number, None)
        self._book.remove_agent(number)

    def _read_metrics(self) -> Iterator[Metric]:
        book, counts = self._book, self._book.counts
        yield gauge("hopspan_plugin_claim_agents", "Agents that listen for claims on flows.", len(self._agents))
        yield gauge(
            "hopspan_plugin_claim_addresses", "Addresses whose node is known from answers.", len(book.addresses)
        )
        yield gauge("hopspan_plugin_claims_waiting", "Claims that wait for agents to take them.", book.waiting_count)
        kinds = (("interval", counts.intervals), ("exact", counts.exacts))
        yield count_by("hopspan_plugin_claims", "Claims on flows and packets, by kind.", "kind", kinds)
        ways = (("known", counts.to_known), ("all", counts.to_all))
        yield count_by("hopspan_plugin_claims_queued", "Claims queued for agents, by who is asked.", "agents", ways)
        yield count("hopspan_plugin_claims_answered", "Transits that answered claims.", counts.answers)
        reasons = [(str(reason), number) for reason, number in counts.dropped.items()]
        yield count_by("hopspan_plugin_claims_dropped", "Flows not claimed, by reason.", "reason", reasons)
        ends = (("replaced", self._replaced), ("stalled", self._stalled))
        yield count_by(
            "hopspan_plugin_claim_streams_ended", "Agents' streams ended by the plugin, by reason.", "reason", ends
        )
