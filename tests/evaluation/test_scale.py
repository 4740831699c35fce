"""Question 6 on a node of a few pods, and on joins in which a few transits wait: all is counted, nothing is lost."""

from pathlib import Path

import pytest

from evaluation.question import Effort
from evaluation.report import render_report
from evaluation.results import Results
from evaluation.scale import PLUGIN_ROUNDS, PROBE_ROUNDS, VISIT_S, answer, list_missing
from evaluation.scale_curves import UNITS
from testbed.errors import TestbedError
from testbed.join_process import join_process
from tests.requirements import lack


@pytest.mark.testbed
@pytest.mark.bpf
def test_every_cost_is_measured_at_every_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Agents attach to all pods and send all transits; the kernel tells what its programs took."""
    if missing := list_missing():
        lack("; ".join(missing))
    for table, number in ((PROBE_ROUNDS, 2), (PLUGIN_ROUNDS, 2), (VISIT_S, 0.2)):
        monkeypatch.setitem(table, Effort.QUICK, number)
    told: list[str] = []
    found = answer(Effort.QUICK, tmp_path, told.append, (2, 6), (1_000, 2_000))
    assert {curve.name for curve in (*found.probe, *found.plugin)} == set(UNITS)
    assert {curve.sizes for curve in found.probe} == {(2, 6)}
    assert found.transits == 2 * 2 * 2 * 50
    assert found.lost == 0
    assert all(value.low > 0 for curve in found.probe if curve.name != "idle" for value in curve.values)
    assert "| 6 |" in render_report(Results(scale=found))
    assert told


def test_transits_for_which_there_is_no_room_are_told() -> None:
    """All that came wait or were displaced, and spans come of the exchanges beside them."""
    with join_process(3_000) as join:
        assert (join.filled.waiting, join.filled.displaced) == (3_000, 0)
        assert join.time_span(1) > 0
        assert join.time_span(2) > 0


def test_process_that_cannot_do_it_says_so() -> None:
    """A process that ends is an error that names it, not a wait without end."""
    with join_process(0) as join, pytest.raises(TestbedError, match="has ended"):
        join.time_span("many")  # type: ignore[arg-type]
