"""Question 5 in the real testbed, by the whole chain: every way shows its hops, and rules are counted."""

from pathlib import Path

import pytest

from evaluation.overlay import REQUESTS_PER_RUN, ROUNDS, answer, list_missing
from evaluation.overlay_calls import HOST_GW, SAME_NODE, VXLAN, name_hops
from evaluation.overlay_rounds import KEPT, MANY, NEW, SILENT, WAYS
from evaluation.question import Effort
from evaluation.report import render_report
from evaluation.results import Results, decode_results, encode_results
from tests.requirements import lack


@pytest.mark.testbed
@pytest.mark.bpf
def test_every_way_shows_its_hops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Routes and rules change below running programs; who passes the rules is counted by the kernel."""
    if missing := list_missing():
        lack("; ".join(missing))
    monkeypatch.setitem(ROUNDS, Effort.QUICK, 2)
    monkeypatch.setitem(REQUESTS_PER_RUN, Effort.QUICK, 3)
    told: list[str] = []
    found = answer(Effort.QUICK, tmp_path, told.append)
    assert len(found.cases) == len(WAYS) * 2 * 2 + 2 * 2
    for case in found.cases:
        assert [part.name for part in case.parts] == name_hops(case.way)
        assert case.calls == (12 if case.way == SAME_NODE and case.connection != SILENT else 6)
    packets = {one.way: one.packets / one.connections for one in found.passages}
    # What else is new to a node meanwhile passes too: a sidecar's connection to the plugin, say.
    assert 1 <= packets[SAME_NODE] < 2 <= packets[HOST_GW] < packets[VXLAN]
    assert {case.connection for case in found.cases if case.services == MANY} == {KEPT, SILENT, NEW}
    results = Results(overlay=found)
    assert decode_results(encode_results(results)) == results
    assert "| vxlan-encap, request | " in render_report(results)
    assert told
