"""Plots are drawn of the results alone: the same ones give the same bytes. Axes say what they show, and in what."""

import importlib.util

import pytest

from evaluation.report import list_pictures
from evaluation.report_faults import PICTURES
from evaluation.results import Results
from evaluation.values import Estimate
from tests.evaluation.samples import make_fault, make_results
from tests.evaluation.samples_clock import make_clock, make_cost
from tests.requirements import lack

SVG, PNG = b"<?xml", b"\x89PNG"


@pytest.fixture(autouse=True)
def _drawing_machine() -> None:
    if importlib.util.find_spec("matplotlib") is None:
        lack("matplotlib is missing (pip install --group evaluation)")


def draw(results: Results) -> dict[str, bytes]:
    """Return the plots; the library is loaded by those alone who draw."""
    from evaluation.plots import draw_plots  # noqa: PLC0415 - it may be missing

    return draw_plots(results)


def test_every_picture_of_the_report_is_drawn() -> None:
    """Each as SVG and as PNG."""
    drawn = draw(make_results())
    assert set(drawn) == {f"{stem}.{kind}" for stem in list_pictures(make_results()) for kind in ("svg", "png")}
    assert all(data.startswith(SVG if name.endswith(".svg") else PNG) for name, data in drawn.items())


def test_same_results_give_the_same_pictures() -> None:
    """A report that is made again changes no file; other figures do."""
    drawn = draw(make_results())
    assert draw(make_results()) == drawn
    changed = draw(make_results(make_fault(true_us=Estimate(5000, 4000, 6000))))
    assert changed["faults_against_truth.svg"] != drawn["faults_against_truth.svg"]


@pytest.mark.parametrize("stem", PICTURES)
def test_axes_of_faults_say_what_and_in_which_unit(stem: str) -> None:
    """The growth is in microseconds, and every fault has its name there: matplotlib writes texts as comments."""
    picture = draw(make_results(make_fault("one fault"), make_fault("another")))[f"{stem}.svg"].decode()
    assert "growth with the fault, us" in picture
    assert "one fault" in picture
    assert "another" in picture


def test_questions_2_and_3_are_drawn_with_their_units() -> None:
    """Every picture that their sections show, with what its axes are in."""
    results = Results(clock=make_clock(), cost=make_cost())
    drawn = draw(results)
    assert set(drawn) == {f"{stem}.{kind}" for stem in list_pictures(results) for kind in ("svg", "png")}
    for stem, axis in {
        "clock_hops": "time of the hop, us",
        "clock_points": "less tcpdump's, us",
        "clock_observer": "growth of the hop's median, us",
        "clock_missed": "missed, %",
        "cost_throughput": "change at saturation, %",
        "cost_latency": "at the steady load, us",
        "cost_hooks": "time of a run, ns",
    }.items():
        assert axis in drawn[f"{stem}.svg"].decode()


def test_nothing_measured_is_nothing_drawn() -> None:
    """No empty axes."""
    assert draw(Results()) == {}
