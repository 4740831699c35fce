"""Who gives way where too much waits: those that have most."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_plugin.sources import find_level, find_source
from node_probe.transit import Transit
from node_probe.wire_record import encode_record
from tests.collector_plugin.builders import RESPONSE, make_transit


@given(st.lists(st.integers(1, 1_000), min_size=1, max_size=50), st.data())
def test_level_is_the_highest_at_which_enough_goes(counts: list[int], data: st.DataObject) -> None:
    """As many as wanted go or more, and of a level higher by one fewer would."""
    wanted = data.draw(st.integers(1, sum(counts)))
    level = find_level(counts, wanted)

    def count_gone(level: int) -> int:
        return sum(max(0, count - level) for count in counts)

    assert level >= 0
    assert count_gone(level) >= wanted > count_gone(level + 1)


def list_sources(transit: Transit) -> list[int]:
    """Return the transit's source on each of eight nodes: on one alone, two of 4096 may be the same by chance."""
    return [find_source(f"node-{number}", encode_record(transit)) for number in range(8)]


SAME = make_transit({1: 0, 2: 5})
BEHIND_WIRE = make_transit({5: 0, 6: 5})


@pytest.mark.parametrize(
    ("transit", "other", "is_same"),
    [
        (SAME, make_transit({1: 7, 2: 9}, seq=1, server="10.96.0.11"), True),
        (SAME, make_transit({2: 0, 3: 5}), False),
        (BEHIND_WIRE, make_transit({5: 1, 7: 5}, server="10.96.0.11"), True),
        (BEHIND_WIRE, make_transit({5: 0, 6: 5}, direction=RESPONSE), False),
    ],
    ids=["one device", "two devices", "one address", "two addresses"],
)
def test_source_is_the_device_or_behind_the_wire_the_address(transit: Transit, other: Transit, is_same: bool) -> None:  # noqa: FBT001 - a table's column
    """A pod cannot choose its device, nor the address that its packets come from; and nodes are told apart."""
    assert (list_sources(transit) == list_sources(other)) is is_same
    assert len(set(list_sources(transit))) > 1
