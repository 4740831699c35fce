"""What is said of two sets of hops, as values, as a table and as JSON."""

import json
import random
import runpy
from pathlib import Path

import msgspec
import pytest

from traceview import comparison as module
from traceview.comparison import Comparison, Row, Side, Verdict, compare_sets
from traceview.comparison_json import describe_comparison
from traceview.comparison_text import write_comparison
from traceview.hop_samples import HopCollector, HopKey, HopSet
from traceview.otlp_json import read_spans
from traceview.quantile_shift import sort_samples
from traceview.waterfall import ASCII, UNICODE, Glyphs

CHECKOUT = runpy.run_path(str(Path(__file__).with_name("make_checkout.py")))
FORWARD = HopKey("", "request", 1, "host-forward", "veth-ingress", "overlay-egress")
ENCAP = HopKey("", "request", 2, "vxlan-encap", "overlay-egress", "nic-egress")


def make_set(**hops: list[int]) -> HopSet:
    keys = {"forward": FORWARD, "encap": ENCAP}
    return HopSet({keys[name]: sort_samples(values) for name, values in hops.items()}, traces=1, hops=2)


def draw(count: int, middle: int, seed: int) -> list[int]:
    chance = random.Random(seed)  # noqa: S311 - the same cases each time
    return [int(chance.gauss(middle, middle / 10)) for _ in range(count)]


def compare_one(before: list[int], after: list[int]) -> Row:
    (row,) = compare_sets(make_set(forward=before), make_set(forward=after)).rows
    return row


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (draw(100, 10_000, 1), draw(100, 10_000, 2), Verdict.NOT_SEEN),
        (draw(100, 10_000, 1), draw(100, 12_000, 2), Verdict.SLOWER),
        (draw(100, 12_000, 1), draw(100, 10_000, 2), Verdict.FASTER),
        (draw(5, 10_000, 1), draw(100, 90_000, 2), Verdict.TOO_FEW),
        ([5] * 50, [5] * 50, Verdict.NOT_SEEN),
    ],
)
def test_verdicts(before: list[int], after: list[int], verdict: Verdict) -> None:
    """A difference is one where the interval leaves out 0, and nothing is said of few samples."""
    row = compare_one(before, after)
    assert row.shifts["p50"].verdict is verdict
    assert (row.before_count, row.after_count) == (len(before), len(after))


def test_tails_are_compared_too() -> None:
    """A change that the median does not show is seen at p99, with enough samples."""
    before = draw(3000, 10_000, 1)
    after = [
        value * 3 if value > 10_000 and at % 20 == 0 else value for at, value in enumerate(draw(3000, 10_000, 2))
    ]
    row = compare_one(before, after)
    assert row.shifts["p50"].verdict is Verdict.NOT_SEEN
    assert row.shifts["p99"].verdict is Verdict.SLOWER
    assert compare_one(before[:100], after[:100]).shifts["p99"].verdict is Verdict.TOO_FEW


def test_a_hop_of_one_side() -> None:
    """What one set alone has is shown, and not compared."""
    found = compare_sets(make_set(forward=[1] * 20, encap=[2] * 20), make_set(forward=[1] * 20))
    forward, encap = found.rows
    assert forward.shifts["p50"].interval_ns == (0, 0)
    assert (encap.shifts["p50"].verdict, encap.shifts["p50"].before_ns) == (Verdict.ONLY_BEFORE, 2)
    assert encap.shifts["p50"].after_ns is None
    assert found.comparisons == 2
    swapped = compare_sets(make_set(), make_set(encap=[2]))
    assert swapped.verdicts == {Verdict.ONLY_AFTER}
    assert compare_sets(make_set(), make_set()) == Comparison((), 0.95, 0)


def test_more_comparisons_need_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chance of error is shared out, so an interval beside many others is wider than one alone."""
    before, after = draw(100, 10_000, 1), draw(100, 10_000, 2)
    alone = compare_one(before, after).shifts["p50"].interval_ns
    keys = [HopKey("", "request", 1, f"hop-{number}") for number in range(50)]
    sets = [HopSet({key: sort_samples(held) for key in keys}, 1, 1) for held in (before, after)]
    found = compare_sets(sets[0], sets[1])
    among = found.rows[0].shifts["p50"].interval_ns
    assert found.comparisons == 100
    assert alone is not None
    assert among is not None
    assert among[0] < alone[0] <= alone[1] < among[1]
    monkeypatch.setattr(module, "MAX_ROWS", 10)
    limited = compare_sets(sets[0], sets[1])
    assert (len(limited.rows), limited.rows_left_out) == (10, 40)


def test_nothing_is_found_where_nothing_is() -> None:
    """Of 100 hops of equal sets none differs, which single intervals of 95 % would have said of some."""
    keys = [HopKey("", "request", 1, f"hop-{number}") for number in range(100)]
    sets = [
        HopSet({key: sort_samples(draw(60, 10_000, seed + at)) for at, key in enumerate(keys)}, 1, 1)
        for seed in (1000, 2000)
    ]
    assert compare_sets(sets[0], sets[1]).verdicts == {Verdict.NOT_SEEN, Verdict.TOO_FEW}


def gather_checkout(count: int, shift_ns: int = 0) -> HopSet:
    lines = "\n".join(CHECKOUT["build_lines"](count))
    collector = HopCollector()
    for span in read_spans(line.encode() for line in lines.splitlines()):
        if span.name == "vxlan-encap":
            changed = {**span.attributes, "hopspan.duration_ns": span.duration_ns + shift_ns}
            collector.add([msgspec.structs.replace(span, attributes=changed)])
        else:
            collector.add([span])
    return collector.finish(by_nodes=False)


@pytest.fixture(scope="module")
def sides() -> tuple[Side, Side]:
    before, after = gather_checkout(40), gather_checkout(40, 9000)
    return Side("before.jsonl", before, ()), Side("after\x1b.jsonl", after, ("a note", "of many words " * 12))


@pytest.mark.parametrize(("width", "glyphs"), [(80, UNICODE), (140, UNICODE), (80, ASCII)])
def test_golden_table(sides: tuple[Side, Side], width: int, glyphs: Glyphs) -> None:
    """The table is as the golden file has it; delete the file to have it written, which fails that run."""
    name = f"diff_{width}_{'ascii' if glyphs is ASCII else 'utf-8'}.txt"
    golden = Path(__file__).parent / "golden" / name
    lines = list(write_comparison(compare_sets(sides[0].held, sides[1].held), sides, width, glyphs))
    drawn = "".join(f"{line.text}\n" for line in lines)
    if not golden.exists():
        golden.write_text(drawn, encoding="utf-8")
        pytest.fail(f"{name} was written: read it, then run again")
    assert drawn == golden.read_text(encoding="utf-8")
    assert max(len(line.text) for line in lines) <= width
    assert [line.verdict for line in lines].count(Verdict.SLOWER) == 2


def test_json(sides: tuple[Side, Side]) -> None:
    """The documented fields, as values of JSON."""
    found = describe_comparison(compare_sets(sides[0].held, sides[1].held), *sides)
    assert json.loads(json.dumps(found)) == found
    assert found["after"] == {
        "name": "after\x1b.jsonl",
        "traces": 40,
        "hops": 800,
        "notes": ["a note", "of many words " * 12],
    }
    (encap,) = [hop for hop in found["hops"] if hop["name"] == "vxlan-encap" and hop["direction"] == "request"]
    assert encap["p50"]["verdict"] == "slower"
    assert encap["p50"]["difference_ns"] == encap["p50"]["after_ns"] - encap["p50"]["before_ns"] == 9000
    low_ns, high_ns = encap["p50"]["interval_ns"]
    assert low_ns < 9000 < high_ns
    assert encap["p99"]["interval_ns"] is None
    assert (encap["from"], encap["to"], encap["nodes"]) == ("overlay-egress", "nic-egress", None)


def test_nothing_to_compare() -> None:
    """Sets without hops say so."""
    empty = Side("x", make_set(), ())
    lines = [
        line.text for line in write_comparison(compare_sets(empty.held, empty.held), (empty, empty), 80, UNICODE)
    ]
    assert lines[-1] == "no hops: nothing to compare"
