"""Question 5's section has every hop by every way, what rules add, and where they do not show."""

import importlib.util

from evaluation.overlay_calls import VXLAN, name_hops
from evaluation.report import list_pictures, render_report
from evaluation.results import decode_results, encode_results
from tests.evaluation.samples_overlay import make_overlay
from tests.requirements import lack


def test_every_hop_has_a_line_and_ways_without_it_have_none() -> None:
    """Medians with intervals; the same node has no underlay, host-gw no encapsulation."""
    lines = render_report(make_overlay()).splitlines()
    for name in name_hops(VXLAN):
        assert sum(line.startswith(f"| {name} |") for line in lines) == 6
    encapsulation = next(line for line in lines if line.startswith("| vxlan-encap, request |"))
    assert encapsulation == "| vxlan-encap, request | 130 (30 to 230) |  |  |"
    underlay = next(line for line in lines if line.startswith("| underlay, request |"))
    assert underlay == "| underlay, request | 130 (30 to 230) | 120 (20 to 220) |  |"


def test_rules_are_told_by_kind_of_connection() -> None:
    """New connections pay before the request, kept ones nothing, and no hop grows."""
    report = render_report(make_overlay(rules_us=70))
    nothing, rules = "0.0 (0.0 to 0.0)", "70 (70 to 70)"
    assert f"| VXLAN | kept | {nothing} | {nothing} | {nothing} | {nothing} |" in report
    assert f"| same node | kept, after silence | {nothing} | {nothing} |" in report
    assert "| host-gw | kept, after silence |" not in report
    assert f"| VXLAN | new for each request | {nothing} | {rules} | {rules} | {rules} |" in report


def test_passages_are_told_for_a_connection() -> None:
    """As the rule counted them."""
    assert "6.3 by VXLAN, 2.0 by host-gw, 1.0 by same node" in render_report(make_overlay())


def test_what_comes_out_against_us_is_said() -> None:
    """That rules are in no hop, and calls without all their hops."""
    assert "(VXLAN: 70 (70 to 70) us) are in no hop" in render_report(make_overlay())
    assert "3 of 15 calls by host-gw (5,000 services, connections kept)" in render_report(make_overlay(missing=1))
    assert "Nothing in this run: all calls" in render_report(make_overlay(rules_us=0))


def test_answer_comes_back_as_it_was() -> None:
    """From the JSON."""
    assert decode_results(encode_results(make_overlay())) == make_overlay()


def test_axes_say_what_and_in_which_unit() -> None:
    """Times are in microseconds, and every hop and way has its name there: matplotlib writes texts as comments."""
    if importlib.util.find_spec("matplotlib") is None:
        lack("matplotlib is missing (pip install --group evaluation)")
    from evaluation.plots import draw_plots  # noqa: PLC0415 - it may be missing

    results = make_overlay()
    drawn = draw_plots(results)
    assert set(drawn) == {f"{stem}.{kind}" for stem in list_pictures(results) for kind in ("svg", "png")}
    assert draw_plots(results) == drawn
    hops, services = (drawn[f"{stem}.svg"].decode() for stem in ("overlay_hops", "overlay_services"))
    assert all(word in hops for word in ("time of the hop, us", "host-gw", "same node", *name_hops(VXLAN)))
    assert all(word in services for word in ("5,000 services", "us (95 % interval)", "connect(2)", "VXLAN"))
