"""The means of the evaluation's question 1, on the real cluster: HotROD with sidecars that hold all variants."""

from pathlib import Path

import pytest

from evaluation.load_generator import Connections
from evaluation.relocation import Bench
from evaluation.relocation_plans import CALL, RIDE, Plan, Saturated, Turns
from evaluation.relocation_pods import NAMESPACE, running_collector, start_mesh
from evaluation.relocation_runs import CLOSED_LOOP, FIRST, LAST, THROUGHPUT, VARIANTS
from testbed.kubernetes.cluster import Cluster

pytestmark = pytest.mark.kubernetes

PLAN = Plan(
    rounds=1,
    open_turns={RIDE.name: Turns(1, 1.5), CALL.name: Turns(1, 0.5)},
    closed_turns={RIDE.name: 1, CALL.name: 1},
    ramp_s=1.0,
    search_rounds=2,
    search_requests=1,
)
SLOWLY_PER_S = {RIDE: 4.0, CALL: 20.0}


def test_every_context_moves_to_the_head_and_all_variants_answer(cluster: Cluster, tmp_path: Path) -> None:
    """By the filter alone: the same requests, and each level of a round has its figures in each variant."""
    said: list[str] = []
    with running_collector(tmp_path), Connections() as connections:
        bench = Bench(PLAN, start_mesh(cluster), connections, said.append)
        last, first = bench.capture()
        assert (last.variant, first.variant) == (LAST, FIRST)
        assert last.count == first.count > 0
        assert last.size_bytes == first.size_bytes
        assert first.context_end_bytes[2] < last.context_end_bytes[0]
        for load in (RIDE, CALL):
            bench.run_round(0, Saturated(load, SLOWLY_PER_S[load], 2))
            (levels,) = bench.rounds[load.name]
            assert {name for figures in levels[CLOSED_LOOP].values() for name in figures} <= {THROUGHPUT}
            assert list(levels) == ["50 %", "80 %", CLOSED_LOOP]
            described = bench.describe(Saturated(load, SLOWLY_PER_S[load], 2))
            assert set(described.asked) == set(VARIANTS)
            assert len(set(described.asked.values())) == 1
    cluster.kubectl.run("delete", "namespace", NAMESPACE)
