"""The agent with the maps of the loaded programs and a ring that the test fills: what becomes of each record."""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from functools import partial

import pytest

from hopspan.logs import Log
from hopspan.stop import StopRequest
from node_probe.agent import READ_INTERVAL_S, READ_LIMIT, Agent, list_unread_ports
from node_probe.attach import Attacher
from node_probe.bpf import BpfMap, possible_cpus
from node_probe.counters import Event, Reason
from node_probe.devices import Plan
from node_probe.hop_table import Sort
from node_probe.programs import RING_BYTES, SWEEP
from node_probe.ring import RingReader
from node_probe.sweep import sweep_transits
from node_probe.tally import Tally
from node_probe.top import Options, Top
from node_probe.transit import NodeIdentity, TransitFlag
from node_probe.wire_batch import TransitBatch, decode_batch
from tests.kernel.bpf_harness import Harness
from tests.kernel.packets import request, traced_request
from tests.node_probe.coded_contexts import encode
from tests.node_probe.records import make_context, make_record
from tests.node_probe.resource_spans import read_resource_spans

pytestmark = pytest.mark.bpf

NODE = NodeIdentity("node-1", "4d3c", "worker-a", "b1f0c0de-0000-4000-8000-000000000001")


class ScriptedRing(RingReader):
    """Hands out what it was given, one round after the other, then asks to stop."""

    def __init__(self, rounds: list[list[bytes]], stopping: StopRequest) -> None:
        self._rounds = rounds
        self._stopping = stopping

    def read(self, limit: int) -> list[bytes]:
        """Return the next round."""
        if not self._rounds:
            self._stopping.set()
            return []
        assert len(self._rounds[0]) <= limit
        return self._rounds.pop(0)


class WatchedStop(StopRequest):
    """Remembers how long the agent was ready to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for a request."""
        self.waits.append(timeout_s)
        return super().wait(timeout_s)


class Bench:
    """An agent that attaches nothing."""

    def __init__(self, fds: Mapping[str, int], *rounds: list[bytes], ring: RingReader | None = None) -> None:
        self.text = io.StringIO()
        log = Log(stream=self.text)
        self.tally = Tally(BpfMap(fds["counters"], 4, 8 * possible_cpus()))
        self.stopping = WatchedStop()
        ring = ring or ScriptedRing(list(rounds), self.stopping)
        sweep = partial(sweep_transits, fds[SWEEP])
        self.agent = Agent(ring, sweep, Attacher(fds, log, tcx=True), self.tally, log)
        self.agent.stopping.close()
        self.agent.stopping = self.stopping
        self.agent.identify(NODE, "0.1.0")
        self._settings = BpfMap(fds["settings"], 4, 16)

    def run(self) -> TransitBatch:
        """Run the agent until the rounds are over; return what it would send."""
        self.agent.run(self._settings, ("*",), 0, pod=False)
        return decode_batch(read_resource_spans(self.agent.make_request(self.agent.backlog.take(1 << 20))))

    def counts(self) -> dict[str, int]:
        """Return what was counted."""
        read = [*self.tally.reasons.read().items(), *self.tally.events.read().items()]
        return {key.value: count for key, count in read if count}


@pytest.fixture
def make_bench(program_fds: Mapping[str, int]) -> Iterator[Callable[..., Bench]]:
    """Make benches, and close what they opened."""
    with ExitStack() as stack:

        def make(*rounds: list[bytes], ring: RingReader | None = None) -> Bench:
            bench = Bench(program_fds, *rounds, ring=ring)
            stack.callback(bench.stopping.close)
            return bench

        yield make


@pytest.mark.usefixtures("bpf")
def test_each_record_ends_under_a_count(make_bench: Callable[..., Bench]) -> None:
    """What can be read waits to be sent, in order; what cannot is counted, and takes nothing with it."""
    bad_context, bad_record = make_record(make_context(b"00-?")), make_record(seen=0)
    coded = [
        make_record(make_context(encode(f"00-{'0af76519' * 4}-b7ad6b7169203331-{flags}"), coding=1), seq=2)
        for flags in ("01", "02")
    ]
    bench = make_bench([make_record(seq=1), bad_context, *coded], [bad_record, make_record(seq=3)])
    found = bench.run()
    assert [transit.seq for transit in found.transits] == [1, 2, 3]
    assert found.node == NODE
    expected = {Event.RECORDS_READ: 6, Reason.BAD_CONTEXT: 1, Reason.UNSAMPLED: 1, Reason.BAD_RECORD: 1}
    assert bench.counts() == {key.value: count for key, count in expected.items()}
    assert "record without a stamp" in bench.text.getvalue()


@pytest.mark.usefixtures("bpf")
def test_table_counts_what_it_cannot_show(
    make_bench: Callable[..., Bench], capsys: pytest.CaptureFixture[str]
) -> None:
    """`node-probe top` takes each record for itself, too: shown, or counted."""
    unsampled = make_context(encode(f"00-{'0af76519' * 4}-b7ad6b7169203331-02"), coding=1)
    bench = make_bench()
    top = Top(bench.agent, Options(once=True, json=True, interval_ns=1, sort=Sort.P99, limit=None), None)
    top.take([make_record(), make_record(make_context(b"00-?")), make_record(unsampled), make_record()[:-1]], 0)
    top.show()
    shown = json.loads(capsys.readouterr().out)
    assert shown["transits"] == 1
    assert shown["lost"] == {"bad_context": 1, "unsampled": 1, "bad_record": 1}


def test_what_is_left_in_the_map_is_swept_at_the_end(
    bpf: Harness, port: int, make_bench: Callable[..., Bench]
) -> None:
    """A transit whose packet has not met the last point when the agent stops is sent at once, as a partial one."""
    bpf.run("pod_egress", request(traced_request(), seq=7, client_port=port))
    with closing(RingReader(bpf.fd("ring"), RING_BYTES)) as ring:
        bench = make_bench(ring=ring)
        bench.stopping.set()
        (transit,) = bench.run().transits
    assert (transit.seq, transit.flags) == (7, TransitFlag.PARTIAL)
    assert bench.counts() == {Event.RECORDS_READ.value: 1}


@pytest.mark.usefixtures("bpf")
def test_no_waiting_behind_a_full_round(make_bench: Callable[..., Bench]) -> None:
    """Where a round has found as much as it may take there is more, and the next one begins at once."""
    full = [make_record()] * READ_LIMIT
    bench = make_bench(full, full[1:], full)
    bench.run()
    assert bench.stopping.waits == [READ_INTERVAL_S, 0, READ_INTERVAL_S, 0, READ_INTERVAL_S]
    assert bench.counts() == {Event.RECORDS_READ.value: 3 * READ_LIMIT - 1}


def test_tunnel_ports_without_room_are_named() -> None:
    """The programs know four ports; which others a node has is told, since their packets are met at no NIC."""
    plan = Plan(frozenset(), (1, 2, 3, 4, 4789, 8472), ())
    assert [line.partition(":")[0] for line in list_unread_ports(plan)] == ["4789", "8472"]
    assert list_unread_ports(Plan(frozenset(), (1, 2, 3, 4), ())) == ()
