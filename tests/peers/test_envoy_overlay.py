"""Envoys speak HTTP/2 to each other, between the testbed's two nodes and on one of them, with a real probe on each.

Each request of theirs has all of its transits, under the CLIENT span that the Envoy which sent it tells of.
"""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from testbed.client import send_requests
from testbed.mesh import started_mesh
from testbed.network import two_nodes_vxlan
from testbed.requirements import missing_requirements
from testbed.topology import FRONTEND, PLUGIN_ENDPOINT
from tests.peers.http2_accounts import Context, read_context
from tests.peers.http2_books import Books, Story
from tests.peers.http2_tape import read_headers
from tests.requirements import lack, require_bcc
from tests.testbed.otlp_peer import OtlpPeer
from tests.testbed.programs_under_test import running_probes
from tests.testbed.tape import list_places, taping

pytestmark = [pytest.mark.peers, pytest.mark.testbed, pytest.mark.bpf]

REQUESTS, USERS = 53, 50
SERVICES = 2
"""Frontend asks `cart` on the other node, and `catalog` on its own."""

MESSAGES = {"cart": 4, "catalog": 2}
"""At first points: a request and a response, on each node that they pass."""


@dataclass
class EnvoyBench:
    """A mesh with probes on its ways, which are younger than its connections."""

    books: Books
    sink: OtlpPeer

    def run(self, users: int, requests: int) -> Story:
        """Let users send requests, and check that Envoys, tape and sink agree about what they sent each other.

        A busy machine may refuse some users, who then cause less.
        """
        self.books.open()
        known = self._list_sent()
        with ThreadPoolExecutor(users) as pool:
            list(pool.map(lambda _: send_requests(requests), range(users)))
        made = self._list_sent() - known
        self.sink.wait_for(lambda spans: made <= {(one.span.trace_id, one.span.span_id) for one in spans})
        return self.books.close(made)

    def _list_sent(self) -> set[Context]:
        """Return the contexts of what frontend's Envoy has sent by HTTP/2."""
        taped = self.books.read_tape()
        blocks = read_headers(segment for segment in taped if segment.place.namespace == FRONTEND.namespace)
        return {context for block in blocks if block.is_request and (context := read_context(block))}


@pytest.fixture(scope="module")
def bench(compiled_once: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EnvoyBench]:
    """Hold the mesh, whose Envoys have spoken to each other before the probes came."""
    del compiled_once
    require_bcc()
    if missing := missing_requirements():
        lack("; ".join(missing))
    work_dir = tmp_path_factory.mktemp("envoy")
    with (
        two_nodes_vxlan(),
        OtlpPeer(PLUGIN_ENDPOINT) as sink,
        taping(list_places()) as tape,
        started_mesh(work_dir, http2=True),
    ):
        send_requests(3)
        with running_probes(work_dir, limited=False):
            yield EnvoyBench(Books(tape, sink), sink)


def report(name: str, story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    """Print a story's coverage."""
    with capsys.disabled():
        sys.stdout.write(f"\nEnvoy to Envoy, {name}: {story.balance.describe()} ")


def test_connection_older_than_the_probe(bench: EnvoyBench, capsys: pytest.CaptureFixture[str]) -> None:
    """Requests in turn are measured, every one, over connections whose beginning no probe has seen."""
    story = bench.run(1, REQUESTS)
    report("in turn", story, capsys)
    assert len(story.made) == SERVICES * REQUESTS
    assert story.balance.whole == story.made
    assert sorted(story.messages.values()) == sorted([*MESSAGES.values()] * REQUESTS)
    assert {counts["http2_too_many"] for counts in story.counts.values()} == {0}


def test_concurrent_streams(bench: EnvoyBench, capsys: pytest.CaptureFixture[str]) -> None:
    """Of requests of many users at once each is measured, or lies where a segment has too many and is counted."""
    story = bench.run(USERS, 2)
    report(f"{USERS} users", story, capsys)
    assert len(story.made) >= USERS
    assert set(story.messages.values()) == {*MESSAGES.values()}
    story.check_missed_are_counted()
