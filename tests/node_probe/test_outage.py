"""The collector goes away and comes back, on real sockets: what waits is bounded, each transit counted once."""

import io
import random
from collections.abc import Iterator

import pytest

from hopspan.counters import Counters
from hopspan.logs import Log
from hopspan.otlp_export import OtlpGrpcExporter
from hopspan.settings import OtlpExporter, TlsClient
from hopspan.values import Endpoint
from node_probe.backlog import BATCH_BYTES, Backlog
from node_probe.counters import Event, Reason
from node_probe.sender import Sender
from testbed.deadline import wait_until
from tests.hopspan.grpc_peer import DEADLINE_S, GrpcPeer
from tests.node_probe.batches import encode, make_batch

ROOM = 10
"""Batches of one transit that may wait."""

NUMBER_BYTES = 2


class Counts:
    def __init__(self) -> None:
        self.reasons: Counters[Reason] = Counters(Reason)
        self.events: Counters[Event] = Counters(Event)


class Node:
    """A sender with a backlog of its own, and a peer to begin with."""

    def __init__(self) -> None:
        self.peer = GrpcPeer()
        self.counts = Counts()
        self.backlog = Backlog(ROOM * (BATCH_BYTES + NUMBER_BYTES))
        settings = OtlpExporter(endpoint=Endpoint("localhost", self.peer.port), tls=TlsClient(insecure=True))
        self.exporter = OtlpGrpcExporter(settings)
        self.sender = Sender(self.backlog, self.exporter, encode, self.counts, Log(stream=io.StringIO()))
        self.sender.start()

    def add(self, *numbers: int) -> None:
        """Add transits one by one, as the agent does, which counts what had to go."""
        for number in numbers:
            self.counts.reasons.add(Reason.BACKLOG_FULL, self.backlog.add([make_batch(number)]))

    def wait_for_failures(self, number: int) -> None:
        wait_until(lambda: self.sender.failed_attempts >= number, f"attempt {number} did not fail", DEADLINE_S)


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """A node whose jitter is small: with bad luck it would wait for half a minute."""
    monkeypatch.setattr(random, "random", lambda: 0.05)
    node = Node()
    yield node
    node.exporter.close()
    node.peer.close()


def test_collector_that_was_away_gets_all_but_the_oldest(node: Node) -> None:
    """What was on its way is sent again, then what had room in the backlog, in order and each once."""
    node.add(0)
    # The peer has it before we have the answer, which must not be cut off.
    wait_until(lambda: node.counts.events.read()[Event.TRANSITS_SENT] == 1, "the first was not sent", DEADLINE_S)
    assert node.peer.take() == b"0"
    node.peer.close()
    node.add(1)
    node.wait_for_failures(1)
    node.add(*range(2, 2 + ROOM + 3))
    node.wait_for_failures(2)
    node.peer = GrpcPeer(node.peer.port)
    assert node.peer.take() == b"1"
    assert node.peer.take() == b",".join(str(n).encode() for n in range(5, 5 + ROOM))
    node.add(15)
    assert node.peer.take() == b"15"
    node.sender.stop()
    assert node.peer.seen.qsize() == 3
    assert node.counts.reasons.read()[Reason.BACKLOG_FULL] == 3
    assert node.counts.events.read()[Event.TRANSITS_SENT] == 16 - 3
    assert node.counts.events.read()[Event.EXPORTS_RETRIED] >= 2
    assert (node.sender.failed_attempts, node.sender.refused) == (0, False)
