"""Question 1's section says of each figure whether the claim holds, and what speaks against it."""

import importlib.util
import re

import msgspec
import pytest

from evaluation.relocation_claim import format_change, is_worse, judge, list_doubts
from evaluation.report_relocation import PICTURES, render_relocation
from evaluation.results_relocation import Blocks, LoadResult
from evaluation.values import Estimate
from tests.evaluation.samples import HEAD, make_measure, make_relocation
from tests.requirements import lack

SAME = Estimate(1.0, 0.99, 1.01)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.96, 1.04, "no change"),
        (1.01, 1.04, "no change"),
        (0.94, 1.04, "open"),
        (0.96, 1.06, "open"),
        (1.01, 1.06, "change"),
        (0.80, 0.99, "change"),
        (0.10, 9.00, "open"),
    ],
)
def test_claim_is_judged_by_the_whole_interval(low: float, high: float, verdict: str) -> None:
    """A wide interval proves nothing, on neither side."""
    assert judge(Estimate((low + high) / 2, low, high), SAME) == verdict


@pytest.mark.parametrize(
    ("control", "verdict"),
    [
        (Estimate(1.0, 0.9, 1.19), "change"),
        (Estimate(1.0, 0.9, 1.21), "open"),
        (Estimate(1.3, 1.2, 1.4), "open"),
        (Estimate(1.3, 1.21, 1.4), "change"),
    ],
)
def test_change_is_more_than_that_of_the_control(control: Estimate, verdict: str) -> None:
    """What comes as far where nothing changes is none."""
    assert judge(Estimate(1.2, 1.1, 1.3), control) == verdict


def test_change_that_the_control_hides_is_told() -> None:
    """So is a control that moves: nobody has to trust the verdict alone."""
    hidden = make_measure("p99", relocation=Estimate(1.2, 1.1, 1.3), control=Estimate(1.15, 1.05, 1.25))
    doubts = "\n".join(list_doubts(make_relocation(hidden)))
    assert "ride, 80 %, p99: +20.0 % (+10.0 to +30.0) is open because the control reaches as far" in doubts
    assert "differs beyond its interval in 1 of 1 measures" in doubts
    assert "worse with the context first" not in doubts


@pytest.mark.parametrize(
    ("name", "ratio", "worse"),
    [
        ("p99", Estimate(1.2, 1.1, 1.3), True),
        ("p99", Estimate(0.8, 0.7, 0.9), False),
        ("throughput", Estimate(0.8, 0.7, 0.9), True),
        ("throughput", Estimate(1.2, 1.1, 1.3), False),
        ("p99", Estimate(1.2, 0.9, 1.3), False),
        ("p99", Estimate(1.02, 1.01, 1.03), False),
    ],
)
def test_worse_is_slower_or_less(name: str, ratio: Estimate, worse: bool) -> None:  # noqa: FBT001
    """More latency, or less throughput; beyond chance, and by more than what is taken for none."""
    assert is_worse(make_measure(name, relocation=ratio)) == worse


def test_without_doubt_there_is_nothing_to_list() -> None:
    """All that speaks against us is derived of the figures."""
    assert list_doubts(make_relocation()) == []
    assert "Nothing in this run" in "\n".join(render_relocation(make_relocation()))


def test_each_doubt_is_told() -> None:
    """What got worse, what is open, what failed, and where the relocation brings too little."""
    worse = make_measure("p99", relocation=Estimate(1.2, 1.1, 1.3))
    unclear = make_measure("p90", relocation=Estimate(1.0, 0.5, 1.5))
    failed = LoadResult("ride", "/ride", 50.5, 32, 7.5, {"context last": 900}, {"context last": 7})
    short = (
        Blocks("context last", 240, (300, 400, 500), (290, 390, 490), {128: 0.0, 512: 1.0}),
        Blocks("context first", 240, (300, 400, 500), (100, 140, 150), {128: 0.25, 512: 1.0}),
    )
    busy = msgspec.structs.replace(HEAD, load_average=7.5)
    doubts = "\n".join(list_doubts(make_relocation(worse, unclear, head=busy, loads=(failed,), blocks=short)))
    assert "load average 7.5 on 2 cores" in doubts
    assert "ride, 80 %, p99: worse with the context first, +20.0 % (+10.0 to +30.0)" in doubts
    assert "1 of 2 comparisons are open" in doubts
    assert "7 of 900 requests" in doubts
    assert "p99 is the slowest of the some 50 requests" in doubts
    assert "a window of 128 bytes reads 25 %" in doubts
    assert "a window of 512 bytes reads all contexts without the relocation" in doubts


def test_every_figure_has_its_row() -> None:
    """Latencies in ms, throughput in answers a second, searches in ns."""
    text = "\n".join(render_relocation(make_relocation()))
    assert "| ride, 80 % | p50, ms | 300 | 298 | 302 | 250 | +0.3 % (-1.0 to +2.0) | -0.5 % (-2.0 to +1.0) |" in text
    assert "(-2.0 to +1.0) | no change | +20.0 %" in text
    assert "| ride, closed loop | throughput, answers/s |" in text
    assert "| 8,192 | 6 | 2,000 | 12,000 | 10,000 (9,000 to 11,000) |" in text
    assert "| context last | 240 | 600 (300 to 700) | 590 (290 to 690) | 0 % | 40 % | 90 % |" in text
    assert re.findall(r"\(([a-z_]+)\.svg\)", text) == list(PICTURES)


def test_change_is_in_percent() -> None:
    """With its sign."""
    assert format_change(Estimate(0.98, 0.5, 1.25)) == "-2.0 % (-50.0 to +25.0)"


def test_pictures_have_axes_with_units() -> None:
    """Matplotlib writes texts as comments into SVG."""
    if importlib.util.find_spec("matplotlib") is None:
        lack("matplotlib is missing (pip install --group evaluation)")
    from evaluation.plots_relocation import draw_relocation  # noqa: PLC0415 - it may be missing

    drawn = draw_relocation(make_relocation())
    assert set(drawn) == {f"{stem}.{kind}" for stem in PICTURES for kind in ("svg", "png")}
    for stem, texts in {
        "relocation_ratio": ("% of context last (95 %", "context last again", "ride, 80 %: p50"),
        "relocation_latency": ("latency from the intended sending, ms", "no tracing"),
        "relocation_search": ("kernel time for a request, ns", "header block, bytes"),
        "relocation_windows": ("requests whose context is read, %", "1024"),
    }.items():
        assert all(text in drawn[f"{stem}.svg"].decode() for text in texts)
