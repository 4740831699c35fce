"""The CPU ceiling as stories of seconds: what was used, and what part of the records is kept afterwards."""

import hashlib
import itertools
import struct

import pytest

from node_probe.governor import MIN_KEPT, WINDOW_NS, Governor
from tests.golden_files import read_story
from tests.node_probe import records
from tests.node_probe.bursts import make_burst
from tests.node_probe.coded_contexts import encode
from tests.node_probe.records import read_transit

BASE_CORES = 0.05
"""What a process takes that decodes nothing."""


class Machine:
    """A governor's process, its clock and what it has used."""

    def __init__(self, ceiling_cores: float) -> None:
        self.governor = Governor(ceiling_cores)
        self._now_ns = self._cpu_ns = 10**15
        self.governor.observe(self._now_ns, self._cpu_ns)

    def live(self, offered_cores: float, seconds: int) -> list[float]:
        """Let seconds pass in which all records would take so many cores; return the share kept after each."""
        shares = []
        for _ in range(seconds):
            used = BASE_CORES + offered_cores * self.governor.kept_ratio
            self._now_ns += WINDOW_NS
            self._cpu_ns += int(used * WINDOW_NS)
            self.governor.observe(self._now_ns, self._cpu_ns)
            shares.append(self.governor.kept_ratio)
        return shares


def test_below_the_ceiling_everything_is_kept() -> None:
    """An agent that has time enough lets nothing go."""
    machine = Machine(0.5)
    assert machine.live(0.4, 60) == [1.0] * 60
    records = [b"one", b"two"]
    assert machine.governor.select(records) is records


def test_no_ceiling() -> None:
    """0 means that the agent may take what it needs."""
    assert Machine(0).live(8, 10) == [1.0] * 10


def test_flood_is_thinned_to_the_ceiling() -> None:
    """The first second costs what it costs; within ten the use is at the ceiling or close below, and stays there."""
    shares = Machine(0.5).live(4, 30)
    assert shares[0] < 0.2
    assert all(BASE_CORES + 4 * share <= 0.55 for share in shares[10:])
    assert all(BASE_CORES + 4 * share >= 0.4 for share in shares[10:])


def test_all_is_kept_again_after_the_flood() -> None:
    """Each second without load at most doubles the share, so everything is back within ten."""
    machine = Machine(0.5)
    assert machine.live(1000, 20)[-1] == MIN_KEPT
    shares = machine.live(0, 10)
    assert all(after <= 2 * before for before, after in itertools.pairwise(shares))
    assert shares[-1] == 1.0


def test_window_is_a_second() -> None:
    """A burst of half a second is averaged with what follows."""
    governor = Governor(0.5)
    governor.observe(0, 0)
    governor.observe(WINDOW_NS // 2, WINDOW_NS // 2)
    assert governor.kept_ratio == 1.0
    governor.observe(WINDOW_NS, WINDOW_NS // 2)
    assert governor.kept_ratio == 1.0


def make_record(data: bytes, number: int, direction: int) -> bytes:
    """Return the record with another trace id, direction and sequence number."""
    transit = read_transit(data)
    trace = number.to_bytes(16, "big")
    changed = data.replace(transit.context.trace_id.hex().encode(), trace.hex().encode())
    return changed[:1] + bytes([direction]) + changed[2:12] + struct.pack("=I", number) + changed[16:]


@pytest.mark.parametrize("share", [0.75, 0.5, 0.1])
def test_a_trace_is_kept_whole(share: float) -> None:
    """About the share is kept, always both directions of a trace, and with a smaller share no others."""
    data, _ = read_story("records", "request_at_four_points")
    governor, stricter = Governor(0.5), Governor(0.5)
    governor.kept_ratio, stricter.kept_ratio = share, share / 2
    offered = [make_record(data, number, direction) for number in range(1, 2000) for direction in (0, 1)]
    kept = governor.select(offered)
    assert abs(len(kept) / len(offered) - share) < 0.05
    traces = [read_transit(record).context.trace_id for record in kept]
    assert all(traces.count(trace) == 2 for trace in traces[:100])
    assert set(stricter.select(offered)) < set(kept)


@pytest.mark.parametrize("id_bytes", [8, 16])
def test_a_trace_in_huffman_code_is_kept_whole(id_bytes: int) -> None:
    """All calls of a trace are kept or none, though their parents differ; of 1000 traces about half."""
    governor = Governor(0.5)
    governor.kept_ratio = 0.5
    kept = []
    for number in range(1000):
        trace_id = hashlib.sha256(number.to_bytes(2, "big")).hexdigest()[: 2 * id_bytes].zfill(32)
        texts = [f"00-{trace_id}-{parent:016x}-01" for parent in (1, 1 << 63, (1 << 64) - 1)]
        coded = [records.make_record(records.make_context(encode(text), coding=1)) for text in texts]
        kept.append(len(governor.select(coded)))
    assert set(kept) == {0, 3}
    assert abs(kept.count(3) / len(kept) - 0.5) < 0.1


def test_flows_are_kept_whole_or_let_go_whole() -> None:
    """Of records without a context both directions of a flow share one fate, and about the wanted part is kept."""
    governor = Governor(0.5, b"key")
    flows = [
        [make_burst(1, client_port=port), make_burst(2, client_port=15443, server_port=port, is_coming=True)]
        for port in range(1024, 3024)
    ]
    assert governor.select_bursts(flows[0]) is flows[0]
    governor.kept_ratio = 0.25
    kept = [len(governor.select_bursts(flow)) for flow in flows]
    assert set(kept) == {0, 2}
    assert 400 < kept.count(2) < 600
