"""Lets a caller of gRPC take steps between the testbed's nodes, and closes the books of each."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed.deadline import wait_until
from testbed.topology import CART, PLUGIN_ENDPOINT
from tests.peers.clients import TIMEOUT_S
from tests.peers.grpc_peers import Caller, calling, serving
from tests.peers.http2_accounts import Context
from tests.peers.http2_books import Books, Story
from tests.peers.http2_tape import read_headers, read_resets
from tests.requirements import require_bcc
from tests.testbed.otlp_peer import OtlpPeer
from tests.testbed.programs_under_test import running_probes
from tests.testbed.tape import Segment, list_places, taping


@dataclass
class GrpcBench:
    """A caller with probes on its way, and books that have seen its connection from the beginning."""

    caller: Caller
    books: Books

    def run(self, *steps: str) -> Story:
        """Let the caller take steps, and check that caller, tape and sink agree about them."""
        self.books.open()
        return self.books.close({call for step in steps for call in self._take(step)})

    def _take(self, step: str) -> list[Context]:
        waiting, reset = self._count_waiting(), self._count_reset()
        calls = self.caller.take(step)
        if step.startswith("hang"):
            waiting += int(step.split()[1])
            wait_until(lambda: self._count_waiting() >= waiting, "not all calls arrived that hang", TIMEOUT_S)
        if step == "cancel":
            reset += len(calls)
            # Some libraries say that it is done before they send it.
            wait_until(lambda: self._count_reset() >= reset, "not all cancelled calls were reset", TIMEOUT_S)
        return [(call.trace_id, call.parent_id) for call in calls if call.parent_id]

    def _count_waiting(self) -> int:
        """Return how many calls have come to the server's node that it does not answer."""
        return sum(block.get(":path").endswith("/Wait") for block in read_headers(self._list_arrived()))

    def _count_reset(self) -> int:
        """Return how many calls the client has reset, as the server's node saw."""
        return len(read_resets(self._list_arrived()))

    def _list_arrived(self) -> list[Segment]:
        """Return what came to the server's node from the other one."""
        taped = self.books.read_tape()
        return [one for one in taped if one.place.is_first and one.place.namespace == CART.node.namespace]


@contextmanager
def opened_bench(caller: str, server: str, work_dir: Path, *old: str) -> Iterator[GrpcBench]:
    """Hold a caller and a server in these languages, and probes that come behind the caller's `old` steps."""
    require_bcc()
    with (
        OtlpPeer(PLUGIN_ENDPOINT) as sink,
        taping(list_places()) as tape,
        serving(server, work_dir),
        calling(caller, work_dir) as running,
    ):
        for step in old:
            assert running.take(step)
        with running_probes(work_dir, limited=False):
            yield GrpcBench(running, Books(tape, sink))
