"""Where a hop is drawn: a table in microseconds, and the rules that hold for every hop."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_plugin.halves import MAX_TIME_NS
from collector_plugin.parent import Parent
from collector_plugin.placement import lies_inside, place_hop

US = 1000

Pair = tuple[float, float]

PLACEMENTS: list[tuple[str, Pair, Pair | None, Pair, bool]] = [
    ("inside", (100, 110), (0, 1000), (100, 109), False),
    ("exactly 3 us ends early", (100, 103), (0, 1000), (100, 102), False),
    ("below 3 us keeps its end", (100, 102), (0, 1000), (100, 102), False),
    ("below 1 us is widened", (100, 100.4), (0, 1000), (100, 101), False),
    ("no time at all is widened", (100, 100), (0, 1000), (100, 101), False),
    ("fills the parent", (0, 1000), (0, 1000), (0, 999), False),
    ("starts before", (90, 110), (100, 1000), (100, 109), True),
    ("ends behind", (990, 1010), (0, 1000), (990, 1000), True),
    ("sticks out on both sides", (0, 2000), (500, 600), (500, 600), True),
    ("wholly before", (10, 20), (100, 1000), (100, 101), True),
    ("wholly behind", (2000, 2010), (100, 1000), (999, 1000), True),
    ("behind by a hair", (999.5, 1000.5), (100, 1000), (999, 1000), True),
    ("parent of 1 us", (0, 50), (10, 11), (10, 11), True),
    ("parent below 1 us", (0, 50), (10, 10.4), (10, 10.4), True),
    ("parent without duration", (5, 50), (10, 10), (10, 10.001), True),
    ("parent that ends before it starts", (5, 50), (10, 3), (10, 10.001), True),
    ("parent without times", (100, 110), None, (100, 109), False),
]


def scale(pair: Pair) -> tuple[int, int]:
    """Return microseconds after some epoch as nanoseconds."""
    return round(pair[0] * US) + 10**18, round(pair[1] * US) + 10**18


@pytest.mark.parametrize(
    ("hop", "parent", "drawn", "is_clipped"), [row[1:] for row in PLACEMENTS], ids=[row[0] for row in PLACEMENTS]
)
def test_hop_is_drawn_inside_its_parent(
    hop: Pair,
    parent: Pair | None,
    drawn: Pair,
    is_clipped: bool,  # noqa: FBT001 - a table's column
) -> None:
    """A hop ends 1 us early, is never shorter than 1 us, and is cut to its parent and marked."""
    bounds = Parent(b"", 0, 0, b"") if parent is None else Parent(b"", *scale(parent), b"")
    placement = place_hop(*scale(hop), bounds)
    assert (placement.start_ns, placement.end_ns) == scale(drawn)
    assert placement.is_clipped is is_clipped


TIMES = st.integers(0, 2**64) | st.integers(10**18, 10**18 + 5000)


@given(TIMES, TIMES, st.integers(0, 2**64 - 1) | TIMES, st.integers(0, 2**64 - 1) | TIMES)
def test_every_placement_can_be_drawn(from_ns: int, length_ns: int, parent_start_ns: int, parent_end_ns: int) -> None:
    """Whatever the stamps and the parent: the end lies behind the start, and both fit OTLP's fields."""
    parent = Parent(b"", parent_start_ns, parent_end_ns, b"")
    placement = place_hop(from_ns, from_ns + length_ns, parent)
    assert 0 <= placement.start_ns < placement.end_ns <= MAX_TIME_NS + 1
    if parent_start_ns > 0 and parent_start_ns + 1000 <= parent_end_ns <= MAX_TIME_NS - 1000:
        assert parent_start_ns <= placement.start_ns
        assert placement.end_ns <= parent_end_ns
        assert placement.end_ns - placement.start_ns >= 1000


@pytest.mark.parametrize(
    ("hop", "parent", "expected"),
    [((1, 2), (1, 2), True), ((0, 2), (1, 2), False), ((1, 3), (1, 2), False), ((1, 2), (0, 0), False)],
)
def test_lying_inside_is_exact(hop: tuple[int, int], parent: tuple[int, int], expected: bool) -> None:  # noqa: FBT001 - a table's column
    """A hop that needs no cut lies inside; a parent without times holds nothing."""
    assert lies_inside(*hop, Parent(b"", *parent, b"")) is expected
