"""Question 3 in the real testbed: what watches runs between runs without, and the kernel tells of the programs."""

from pathlib import Path

import pytest

from evaluation import cost
from evaluation.question import Effort
from evaluation.report import render_report
from evaluation.results import Results, decode_results, encode_results
from evaluation.wrk_bench import list_missing
from node_probe.programs import PROGRAMS
from tests.requirements import lack

AGENTS, TCPDUMP = "hopspan, 100 %", "tcpdump"


@pytest.mark.testbed
@pytest.mark.bpf
@pytest.mark.timeout(900)
def test_costs_are_told_for_all_that_watches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both loads, what watches, and every program that met packets; no figure here depends on speed."""
    if missing := list_missing():
        lack("; ".join(missing))
    monkeypatch.setattr(cost, "VARIANTS", (AGENTS, TCPDUMP))
    monkeypatch.setitem(cost.ROUNDS, Effort.QUICK, 2)
    monkeypatch.setitem(cost.HOOK_SAMPLED, Effort.QUICK, (100,))
    told: list[str] = []
    found = cost.answer(Effort.QUICK, tmp_path, told.append)
    agents, tcpdump = found.variants
    assert (agents.name, tcpdump.name) == (AGENTS, TCPDUMP)
    assert min(agents.rate.value.median, agents.cpu_us.value.median, agents.p99_us.value.median) > 0
    assert min(agents.own_us.median, agents.peer_us.median, agents.own_rss_mib.median) > 0
    assert {hook.program for hook in found.hooks} == {name for name in PROGRAMS if name.count("_") == 1}
    assert found.exchanges[0].ns.median > max(hook.ns.median for hook in found.hooks) > 0
    results = Results(cost=found)
    assert decode_results(encode_results(results)) == results
    assert "| pod_egress | " in render_report(results)
    assert told
