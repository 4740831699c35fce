"""One fault of the evaluation in the real testbed, by the whole chain: it is found where it is, and reported."""

from pathlib import Path

import pytest

from evaluation.fault_cases import FAULTS
from evaluation.faults import REQUESTS_PER_RUN, ROUNDS, answer, list_missing
from evaluation.question import Effort
from evaluation.report import render_report
from evaluation.results import Results, decode_results, encode_results
from evaluation.segments import BEHIND, SENT_AGAIN
from tests.requirements import lack


def test_every_fault_expects_segments_of_its_own_name() -> None:
    """Faults have names of their own, and each says which segments it should show in."""
    assert len({fault.story.name for fault in FAULTS}) == len(FAULTS)
    assert all(fault.story.expected for fault in FAULTS)


@pytest.mark.testbed
@pytest.mark.bpf
def test_lost_request_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that is lost once waits for TCP, some 200 ms, as packet sockets see it too; nothing is so long."""
    if missing := list_missing():
        lack("; ".join(missing))
    (fault,) = (fault for fault in FAULTS if SENT_AGAIN in fault.story.expected)
    monkeypatch.setitem(ROUNDS, Effort.QUICK, 2)
    monkeypatch.setitem(REQUESTS_PER_RUN, Effort.QUICK, 3)
    told: list[str] = []
    found = answer(Effort.QUICK, tmp_path, told.append, [fault])
    (result,) = found.faults
    assert result.found == (SENT_AGAIN,)
    assert result.true_us.median > 150_000
    assert abs(result.error_us.median) < 0.05 * result.true_us.median
    assert result.requests == 12
    segments = {growth.segment for growth in result.growths}
    assert {SENT_AGAIN, BEHIND} < segments
    assert len(segments) == 14 + 7
    results = Results(faults=found)
    assert decode_results(encode_results(results)) == results
    assert "| packet loss | " in render_report(results)
    assert told
