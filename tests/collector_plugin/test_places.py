"""Nodes and their interfaces: kept once, and no longer than anybody needs them."""

import pytest

from collector_plugin import places
from collector_plugin.places import KnownPlaces, Place, PlaceTable
from tests.collector_plugin.builders import NODE_1, NODE_2, make_node


def test_interfaces_of_a_node_come_together() -> None:
    """Batches name what occurs in them; what is known already needs no new place."""
    known = KnownPlaces()
    first = known.find(NODE_1, {2: "ens3"})
    second = known.find(make_node("node-1"), {3: "veth3"})
    assert dict(first.interfaces) == {2: "ens3"}
    assert dict(second.interfaces) == {2: "ens3", 3: "veth3"}
    assert known.find(NODE_1, {2: "ens3"}) is second
    assert known.find(NODE_1, {}) is second
    assert second.node is not NODE_2


def test_name_that_contradicts_is_a_new_place() -> None:
    """An index may be given again; what was made before keeps the names of its time."""
    known = KnownPlaces()
    before = known.find(NODE_1, {2: "ens3", 3: "veth3"})
    assert dict(known.find(NODE_1, {2: "eth9"}).interfaces) == {2: "eth9"}
    assert dict(before.interfaces) == {2: "ens3", 3: "veth3"}


def test_node_that_was_started_again_is_another() -> None:
    """It has another clock."""
    known = KnownPlaces()
    assert known.find(make_node("node-1", clock_id="boot-z"), {}) is not known.find(NODE_1, {})


def test_places_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes without end, or with interfaces without end: the oldest are forgotten."""
    monkeypatch.setattr(places, "MAX_KNOWN_BYTES", 10 * places.PLACE_BYTES)
    known = KnownPlaces()
    first, second = known.find(NODE_1, {}), known.find(NODE_2, {})
    for number in range(9):
        known.find(make_node(f"other-{number}"), {})
        assert known.find(NODE_1, {}) is first
    assert known.find(NODE_2, {}) is not second
    many = known.find(NODE_2, dict.fromkeys(range(1000), "veth"))
    assert known.find(NODE_2, {}) is many
    assert known.find(NODE_1, {}) is not first


def test_place_lives_as_long_as_it_is_referred_to() -> None:
    """Numbers are used again, and bytes are given back."""
    table = PlaceTable()
    one, two = Place(NODE_1, {2: "ens3"}), Place(NODE_2, {2: "ens3"})
    first, again, other = (table.take(place) for place in (one, one, two))
    assert first == again != other
    assert [table.release(number) for number in (first, other)] == [one, two]
    assert table.size_bytes > 0
    assert table.release(again) is one
    assert table.size_bytes == 0
    assert table.take(Place(NODE_2, {})) in (first, other)
