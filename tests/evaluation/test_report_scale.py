"""Question 6's section has every cost at every size, and says what grows and what was lost."""

import importlib.util

import pytest

from evaluation.report import list_pictures, render_report
from evaluation.results import Results, decode_results, encode_results
from evaluation.values import Estimate
from tests.evaluation.samples_scale import PROBE_NAMES, make_scale
from tests.requirements import lack

NOTHING = "Nothing in this run: no cost grows"


def test_table_has_each_size_with_value_and_ratio() -> None:
    """The smallest size is what the others are compared with."""
    lines = render_report(make_scale()).splitlines()
    (first,) = (line for line in lines if line.startswith("| 2 |"))
    (last,) = (line for line in lines if line.startswith("| 201 |"))
    assert first == "| 2 | " + " | ".join(f"{37 + place} | 1" for place in range(len(PROBE_NAMES))) + " |"
    assert last.count("1.00 (0.95 to 1.05)") == len(PROBE_NAMES)
    assert f"| 250,001 | {37 + len(PROBE_NAMES) + 2} | 1.00 (0.95 to 1.05) |" in lines


@pytest.mark.parametrize(
    ("results", "doubt"),
    [
        (
            make_scale(growing="start", ratio=Estimate(1.5, 1.2, 1.9)),
            "- start grows to 1.50 (1.20 to 1.90) times from 2 to 201 pods.",
        ),
        (
            make_scale(growing="span", ratio=Estimate(2.5, 2.2, 2.9)),
            "- network span grows to 2.50 (2.20 to 2.90) times from 1,000 to 250,001 transits.",
        ),
        (make_scale(lost=3), "- 3 of 12345 transits were not sent."),
        (make_scale(displaced=7), "of 250,001 transits that came, 7 found no room"),
    ],
    ids=["start", "span", "lost", "displaced"],
)
def test_what_comes_out_against_us_is_said(results: Results, doubt: str) -> None:
    """Each growth beyond chance and small change has its sentence, and so has each loss."""
    report = render_report(results)
    assert doubt in report
    assert NOTHING not in report


@pytest.mark.parametrize("ratio", [Estimate(1.05, 1.01, 1.1), Estimate(1.5, 0.9, 2.5)], ids=["small", "chance"])
def test_small_growth_and_chance_are_no_doubt(ratio: Estimate) -> None:
    """They are in the table alone."""
    assert NOTHING in render_report(make_scale(growing="idle", ratio=ratio))


def test_answer_comes_back_as_it_was() -> None:
    """From the JSON."""
    assert decode_results(encode_results(make_scale())) == make_scale()


def test_axes_say_what_and_in_which_unit() -> None:
    """Ratios name what they are to, memory its unit: matplotlib writes texts as comments."""
    if importlib.util.find_spec("matplotlib") is None:
        lack("matplotlib is missing (pip install --group evaluation)")
    from evaluation.plots import draw_plots  # noqa: PLC0415 - it may be missing

    results = make_scale(displaced=7)
    drawn = draw_plots(results)
    assert set(drawn) == {f"{stem}.{kind}" for stem in list_pictures(results) for kind in ("svg", "png")}
    assert draw_plots(results) == drawn
    for stem, words in (
        ("scale_probe", ("pods on the node", "ratio to 2 pods")),
        ("scale_probe_memory", ("pods on the node", "MiB")),
        ("scale_plugin", ("transits that came", "ratio to 1,000 transits")),
        ("scale_plugin_memory", ("transits that came", "MiB", "7 found no room")),
    ):
        assert all(word in drawn[f"{stem}.svg"].decode() for word in words), stem
