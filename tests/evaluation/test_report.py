"""The report says what the results say; the one in the tree is that of its results."""

import re

import msgspec
import pytest

from evaluation.markdown import format_us
from evaluation.report import SECTIONS, list_pictures, render_report
from evaluation.results import Results, decode_results
from tests.evaluation.samples import HEAD, make_results
from tests.house.repository import ROOT

DIRECTORY = ROOT / "docs" / "evaluation"


def test_question_without_answer_says_so() -> None:
    """Nothing is made up."""
    assert render_report(Results()).count("Not measured yet") == len(SECTIONS)


def test_quick_run_is_told() -> None:
    """Nobody takes a quick run's figures for those of a full one."""
    results = make_results()
    assert "Quick run" not in render_report(results)
    assert results.faults
    quick = msgspec.structs.replace(HEAD, effort="quick")
    faults = msgspec.structs.replace(results.faults, head=quick)
    assert "Quick run: 15 rounds" in render_report(msgspec.structs.replace(results, faults=faults))


@pytest.mark.parametrize(
    ("value_us", "text"), [(0, "0.0"), (-0.04, "-0.0"), (9.94, "9.9"), (12.6, "13"), (204_800.4, "204,800")]
)
def test_figures_have_no_more_digits_than_they_repeat(value_us: float, text: str) -> None:
    """Two digits at least, thousands apart."""
    assert format_us(value_us) == text


def test_report_in_the_tree_is_that_of_its_results() -> None:
    """Nobody has edited the page, or measured and not written it."""
    results = decode_results((DIRECTORY / "results.json").read_bytes())
    report = (DIRECTORY / "report.md").read_text()
    assert report == render_report(results)
    shown = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", report)
    assert sorted(shown) == sorted(f"{stem}.svg" for stem in list_pictures(results))
    assert sorted(path.name for path in DIRECTORY.iterdir() if path.suffix in {".svg", ".png"}) == sorted(
        f"{stem}.{kind}" for stem in list_pictures(results) for kind in ("svg", "png")
    )
