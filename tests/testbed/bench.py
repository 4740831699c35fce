"""Runs stories on two nodes with their probes, a tape beside them and a sink behind them, and closes the books."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed.topology import NODES, PLUGIN_ENDPOINT, UNDERLAY_DEVICE
from tests.requirements import require_bcc
from tests.testbed.accounts import Account, open_account, read_settled_counts
from tests.testbed.arrivals import read_arrivals
from tests.testbed.otlp_peer import OtlpPeer
from tests.testbed.programs_under_test import running_probes
from tests.testbed.talk import Message
from tests.testbed.tape import Tape, list_places, taping

Story = Callable[[], Sequence[Message]]
"""Sends messages, waits until they have arrived, and returns them."""


@dataclass
class Bench:
    """Probes that run on both nodes, and who observes them."""

    sink: OtlpPeer
    tape: Tape

    def run(self, story: Story) -> Mapping[str, Account]:
        """Run a story and return each node's account of it, by node name."""
        before = {node.name: read_settled_counts(node) for node in NODES}
        seen = len(self.sink.groups)
        self.tape.take()
        said = story()
        after = {node.name: read_settled_counts(node) for node in NODES}
        segments = self.tape.take()
        arrivals = read_arrivals(self.sink.groups[seen:])
        return {
            node.name: open_account(node, segments, said, after[node.name] - before[node.name], arrivals)
            for node in NODES
        }


@contextmanager
def opened_bench(work_dir: Path, nics: Sequence[str] = (UNDERLAY_DEVICE,)) -> Iterator[Bench]:
    """Hold probes on both nodes of a network that stands, with the tape on these underlay devices."""
    require_bcc()
    with (
        OtlpPeer(PLUGIN_ENDPOINT) as sink,
        taping(list_places(nics)) as tape,
        running_probes(work_dir, limited=False),
    ):
        yield Bench(sink, tape)
