"""Question 2 in the real testbed: both clocks see the same packets, and differ the way that their places say."""

from pathlib import Path

import pytest

from evaluation import clock, clock_missed
from evaluation.question import Effort
from evaluation.report import render_report
from evaluation.report_clock import has_lawful_sign
from evaluation.results import Results, decode_results, encode_results
from evaluation.wrk_bench import list_missing
from testbed.load import Rhythm
from tests.requirements import lack


@pytest.mark.testbed
@pytest.mark.bpf
@pytest.mark.timeout(900)
def test_two_clocks_of_the_same_packets_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every hop both ways by both, each point's difference with its sign, and nothing missed of a light load."""
    if missing := list_missing():
        lack("; ".join(missing))
    monkeypatch.setitem(clock.ROUNDS, Effort.QUICK, 2)
    monkeypatch.setitem(clock_missed.ROUNDS, Effort.QUICK, 2)
    monkeypatch.setattr(clock_missed, "LOADS", {clock_missed.QUICK_LOADS[0]: Rhythm(3, 9)})
    told: list[str] = []
    found = clock.answer(Effort.QUICK, tmp_path, told.append)
    assert (len(found.hops), len(found.points)) == (14, 16)
    assert [point for point in found.points if not has_lawful_sign(point)] == []
    assert found.messages > 500
    assert found.incomplete < found.messages / 10
    assert all(0 < some[0] <= some[-1] for hop in found.hops for some in (hop.hopspan, hop.hopspan_alone))
    assert [(one.tool, one.percent.median) for one in found.missed] == [("hopspan", 0), ("tcpdump", 0)]
    results = Results(clock=found)
    assert decode_results(encode_results(results)) == results
    assert "| underlay (request, node-1) |" in render_report(results)
    assert told
