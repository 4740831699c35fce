"""The bench runs, and its report has every figure. No verdict here depends on speed: the bounds are far away."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from node_probe.programs import CALLED, CALLED_FOR_FLOWS, PROGRAMS, SWEEP
from testbed.capture_file import CaptureError, MessageKey, read_messages
from testbed.load import CONTEXT_AT_BYTE, missing_commands
from testbed.requirements import missing_requirements
from tests.bench.figures import SPREAD_KEYS, find_figure, list_figures, middle
from tests.bench.probe import main
from tests.bench.rates import compare_losses
from tests.bench.samples import deep_request
from tests.bench.stream_samples import coded_block, make_parent_id, plain_block
from tests.bench.targets import REPORTED, SECTIONS, TARGETS, Target, judge, render_table
from tests.kernel.packets import ACK, CLIENT_PORT, SEQ, SERVER_PORT, request, response, vxlan
from tests.requirements import lack, require_bcc

FAR = 20
"""A figure this many times worse than its target is a broken bench, or a disaster."""

NOISE = frozenset({"rps.kernel_vs_tcpdump"})
"""A ratio of two small differences: in one short round it can be anything."""


@pytest.fixture(scope="module")
def report(compiled_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """Run all parts, whose nineteen processes share what LLVM compiles: its cost is no verdict here."""
    del compiled_once
    missing = missing_requirements() + missing_commands()
    if missing:
        lack("; ".join(missing))
    require_bcc()
    out = tmp_path_factory.mktemp("bench") / "deep" / "probe.json"
    assert main(["--quick", "--check", "--out", str(out)]) == 0
    loaded: dict[str, Any] = json.loads(out.read_text())
    return loaded


@pytest.mark.bpf
@pytest.mark.testbed
@pytest.mark.timeout(600)
class TestReport:
    """One quick run of all parts."""

    @pytest.mark.parametrize("key", [*(target.key for target in TARGETS), *REPORTED])
    def test_has_every_key(self, report: Mapping[str, Any], key: str) -> None:
        """Each figure of the cost table is there; only the ratio may be without a value."""
        assert find_figure(report, key) is not None or key in NOISE

    def test_says_what_it_was_measured_on(self, report: Mapping[str, Any]) -> None:
        """Machine, kernel, versions and time stand in the report, and every program's verified instructions."""
        assert {"machine", "kernel", "versions", "time", "notes"} <= report.keys()
        assert report["verified_instructions"].keys() == {*PROGRAMS, *CALLED, CALLED_FOR_FLOWS, SWEEP}

    def test_figures_are_numbers_in_order(self, report: Mapping[str, Any]) -> None:
        """A figure is a finite number, or a median between its lowest and its highest."""
        for key, figure in list_figures({name: report[name] for name in SECTIONS}):
            if isinstance(figure, Mapping):
                assert figure.keys() == SPREAD_KEYS
                assert figure["low"] <= figure["median"] <= figure["high"], key
            assert figure is None or math.isfinite(middle(figure) or 0), key

    @pytest.mark.parametrize("target", [t for t in TARGETS if t.key not in NOISE], ids=lambda target: target.key)
    def test_figures_are_not_absurd(self, report: Mapping[str, Any], target: Target) -> None:
        """A figure is within a factor of 20 of its target."""
        value = middle(find_figure(report, target.key))
        assert value is not None
        far = target.limit / FAR if target.at_least else target.limit * FAR
        assert Target(target.key, far, at_least=target.at_least).is_met_by(value)

    def test_nothing_is_lost_uncounted(self, report: Mapping[str, Any]) -> None:
        """Whatever the replayed ring offered was delivered or counted."""
        assert middle(report["agent"]["replay_uncounted"]) == 0


def test_table_shows_verdicts_only_when_asked() -> None:
    """A miss is FAIL in the table with --check, and no word without."""
    report = {"ns": {"stamp": {"median": 91.0, "low": 80.0, "high": 95.0}, "miss": 80}}
    assert judge(report) == {"ns.stamp": False, "ns.miss": True}
    assert [line.split()[-1] for line in render_table(report, check=True)] == ["target", "FAIL", "PASS"]
    assert not any("FAIL" in line or "PASS" in line for line in render_table(report, check=False))


def test_ratio_needs_a_loss_to_divide_by() -> None:
    """Where tcpdump loses less than 2 %, there is no ratio to it; where it does, rounds are paired."""
    assert compare_losses([10.0, 10.0, 10.0], [1.9, 1.0, 30.0]) is None
    assert compare_losses([10.0, 12.0, 9.0], [20.0, 10.0, 1.0]) == {"median": 0.85, "low": 0.5, "high": 1.2}


def test_sample_has_its_context_at_the_stated_byte() -> None:
    """The measured request is the one that the notes describe."""
    assert deep_request("01").index(b"traceparent") == CONTEXT_AT_BYTE


def test_stream_samples_are_as_long_as_stated() -> None:
    """Go's block has some 90 bytes, in which the context is no text; the C core's has 289, in which it is."""
    for number in range(100):
        parent_id = make_parent_id(number)
        assert 90 <= len(coded_block(parent_id, "01")) <= 92
        assert parent_id.encode() not in coded_block(parent_id, "01")
        assert len(plain_block(parent_id, "01")) == 289
        assert f"-{parent_id}-01".encode() in plain_block(parent_id, "01")


def test_capture_is_read_whole_and_cut() -> None:
    """Requests and responses are found, plain and inside VXLAN; a cut file ends before the cut packet."""
    frames = [request(deep_request("01")), request(b"x" * 40), vxlan(response()), b"\0" * 60]
    data = bytes.fromhex("4d3cb2a1") + bytes(20)
    for second, frame in enumerate(frames):
        data += b"".join(n.to_bytes(4, "little") for n in (second, 7, len(frame), len(frame))) + frame
    found = [(MessageKey(CLIENT_PORT, 0, SEQ), 7), (MessageKey(CLIENT_PORT, 1, ACK), 2 * 10**9 + 7)]
    assert list(read_messages(data, SERVER_PORT)) == found
    assert list(read_messages(data[: 24 + 16 + 70], SERVER_PORT)) == []
    with pytest.raises(CaptureError):
        list(read_messages(data[1:], SERVER_PORT))
