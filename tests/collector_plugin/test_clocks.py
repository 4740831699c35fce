"""Which clocks are related, and how."""

from collections.abc import Callable

import msgspec
import pytest

from collector_plugin.clock_sightings import see_message
from collector_plugin.clocks import ClockRelation, Clocks, ClockSource
from collector_plugin.halves import Half
from collector_plugin.reasons import ClockReason
from node_probe.transit import NodeIdentity, TransitFlag
from tests.collector_plugin.builders import (
    FOREIGN_NODE,
    MS,
    NODE_1,
    NODE_2,
    OFFSET_NS,
    SECOND,
    US,
    make_half,
    make_node,
    make_transit,
)
from tests.collector_plugin.clock_halves import see_request, see_response, take_in

See = Callable[[NodeIdentity, int, int], tuple[Half, Half]]
SAME = ClockRelation(ClockSource.SAME, 0)
STEPPED_NS = OFFSET_NS + 5 * SECOND


@pytest.mark.parametrize("see", [see_request, see_response])
@pytest.mark.parametrize(
    ("far", "sent_us", "arrived_us", "expected"),
    [
        (NODE_2, 10, 110, SAME),
        (NODE_2, 10, 10, SAME),
        (NODE_2, 100, 89, None),
        (FOREIGN_NODE, 10, 110, None),
        (NODE_1, 10, 110, SAME),
        (NODE_1, 100, 50, None),
    ],
    ids=["one clock", "no time on the wire", "cloned machines", "two clocks", "one node", "no node"],
)
def test_first_message_relates_clocks_by_their_id(
    see: See, far: NodeIdentity, sent_us: int, arrived_us: int, expected: ClockRelation | None
) -> None:
    """Equal ids are one clock, unless the packet would arrive before it left; different ids tell nothing yet."""
    assert take_in(Clocks(), see(far, sent_us, arrived_us)) == expected


@pytest.mark.parametrize(("see", "theta_ns"), [(see_request, -5 * US), (see_response, 5 * US)])
def test_clock_that_seems_to_step_back_is_one_clock(see: See, theta_ns: int) -> None:
    """Read on two CPUs it may, a little; the wire takes no time then, and never a negative one."""
    assert take_in(Clocks(), see(NODE_2, 100, 95)) == ClockRelation(ClockSource.SAME, theta_ns)


def test_two_clocks_are_related_by_what_passes_in_both_directions() -> None:
    """The far clock is 3 s ahead, and the wire takes 100 us: theta is known to within them."""
    clocks = Clocks()
    request = see_request(FOREIGN_NODE, 10, 3_000_110)
    assert take_in(clocks, request) is None
    relation = take_in(clocks, see_response(FOREIGN_NODE, 3_000_510, 610))
    assert relation is not None
    assert relation.source is ClockSource.MEASURED
    assert abs(relation.theta_ns - 3 * SECOND) < US
    assert 100 * US <= relation.uncertainty_ns < 101 * US
    again = clocks.relate(see_message(*request))
    assert again is not None
    assert abs(again.theta_ns - 3 * SECOND) < US
    assert clocks.count_pairs() == (1, 0)


def test_requests_of_either_node_bound_the_same_pair() -> None:
    """Whoever is the client: a request of the one way is as good as a response of the other."""
    clocks = Clocks()
    take_in(clocks, see_request(FOREIGN_NODE, 10, 3_000_110))
    near = make_half(FOREIGN_NODE, make_transit({3: 3_000_200, 4: 3_000_210}))
    far = make_half(NODE_1, make_transit({5: 310, 6: 320}))
    relation = take_in(clocks, (near, far))
    assert relation is not None
    assert abs(relation.theta_ns + 3 * SECOND) < US
    assert clocks.count_pairs() == (1, 0)


def test_reboot_starts_anew() -> None:
    """A new clock id is a new pair; what the old clock showed says nothing of it."""
    clocks = Clocks()
    take_in(clocks, see_request(FOREIGN_NODE, 10, 110))
    take_in(clocks, see_response(FOREIGN_NODE, 510, 610))
    rebooted = make_node("node-2", clock_id="boot-c")
    assert take_in(clocks, see_request(rebooted, 20_000_000, 40)) is None
    relation = take_in(clocks, see_response(rebooted, 440, 20_000_600))
    assert relation is not None
    assert abs(relation.theta_ns + 20 * SECOND) < MS
    assert clocks.count_pairs() == (2, 0)
    assert clocks.contradictions == {ClockReason.CLONED_ID: 0, ClockReason.STEPPED: 0}


def test_cloned_machines_are_measured() -> None:
    """Wall clocks that agree while monotonic ones do not tell them at once; the response proves it."""
    clocks = Clocks()
    request = see_request(NODE_2, 10, 3_000_110, offset_ns=OFFSET_NS - 3 * SECOND)
    assert take_in(clocks, request) is None
    relation = take_in(clocks, see_response(NODE_2, 3_000_510, 610, offset_ns=OFFSET_NS - 3 * SECOND))
    assert relation is not None
    assert (relation.source, abs(relation.theta_ns - 3 * SECOND) < US) == (ClockSource.MEASURED, True)
    again = clocks.relate(see_message(*request))
    assert again is not None
    assert again.source is ClockSource.MEASURED
    assert clocks.contradictions == {ClockReason.CLONED_ID: 1, ClockReason.STEPPED: 0}


def test_clones_of_a_running_machine_show_when_a_message_goes_back_in_time() -> None:
    """Started from one snapshot, their wall clocks may be off by as much: the first response shows it then."""
    clocks = Clocks()
    assert take_in(clocks, see_request(NODE_2, 10, 3_000_110)) == SAME
    assert take_in(clocks, see_response(NODE_2, 3_000_510, 610)) is None
    assert clocks.contradictions[ClockReason.CLONED_ID] == 1
    relation = take_in(clocks, see_request(NODE_2, 700, 3_000_800))
    assert relation is not None
    assert abs(relation.theta_ns - 3 * SECOND) < US
    assert clocks.contradictions[ClockReason.CLONED_ID] == 1


def test_wall_clock_that_was_set_makes_no_clones() -> None:
    """The two nodes' readings of it differ for a moment: until they agree again the clock is measured like two."""
    clocks = Clocks()
    request = see_request(NODE_2, 10, 110, offset_ns=STEPPED_NS)
    assert take_in(clocks, request) is None
    relation = take_in(clocks, see_response(NODE_2, 510, 610, offset_ns=STEPPED_NS))
    assert relation is not None
    assert relation.source is ClockSource.MEASURED
    assert abs(relation.theta_ns) < US
    assert take_in(clocks, see_request(NODE_2, 700, 800)) == SAME
    assert clocks.contradictions == {ClockReason.CLONED_ID: 0, ClockReason.STEPPED: 0}


def test_clock_that_moves_by_itself_is_measured_anew() -> None:
    """A machine that was paused for 2 s: what was known before is impossible beside what is seen now."""
    clocks = Clocks()
    take_in(clocks, see_request(FOREIGN_NODE, 10, 110))
    take_in(clocks, see_response(FOREIGN_NODE, 510, 610))
    assert take_in(clocks, see_request(FOREIGN_NODE, 5_000_000, 3_000_100)) is None
    assert clocks.contradictions == {ClockReason.CLONED_ID: 0, ClockReason.STEPPED: 1}
    relation = take_in(clocks, see_response(FOREIGN_NODE, 3_000_500, 5_000_600))
    assert relation is not None
    assert abs(relation.theta_ns + 2 * SECOND) < US
    assert clocks.contradictions[ClockReason.STEPPED] == 1


def test_message_that_cannot_be_told_from_another_bounds_nothing() -> None:
    """Nor one that was not stamped at both ends of the wire."""
    clocks = Clocks()
    near, far = see_request(FOREIGN_NODE, 10, 110)
    ambiguous = make_half(FOREIGN_NODE, msgspec.structs.replace(far.raw.decode(), flags=TransitFlag.AMBIGUOUS))
    assert clocks.observe(see_message(near, ambiguous), 0) is None
    swept = make_half(NODE_1, make_transit({2: 0, 3: 10}))
    assert clocks.observe(see_message(swept, far), 0) is None
    late = make_half(FOREIGN_NODE, make_transit({6: 120, 7: 130}))
    assert clocks.observe(see_message(near, late), 0) is None
    assert clocks.count_pairs() == (0, 0)
    assert clocks.observe(see_message(near, far), 0) is not None
    assert clocks.count_pairs() == (0, 1)


def test_message_that_does_not_fit_the_bounds_is_not_placed() -> None:
    """One that cannot be told from another may seem to arrive before it left; the pair is not forgotten for it."""
    clocks = Clocks()
    take_in(clocks, see_request(FOREIGN_NODE, 10, 110))
    take_in(clocks, see_response(FOREIGN_NODE, 510, 610))
    near, far = see_request(FOREIGN_NODE, 900, 700)
    ambiguous = make_half(FOREIGN_NODE, msgspec.structs.replace(far.raw.decode(), flags=TransitFlag.AMBIGUOUS))
    assert take_in(clocks, (near, ambiguous)) is None
    assert take_in(clocks, see_request(FOREIGN_NODE, 1_000, 1_100)) is not None


def test_relation_is_fresh_while_messages_are_near() -> None:
    """Later ones may bound it better, and are worth a wait."""
    clocks = Clocks()
    take_in(clocks, see_request(FOREIGN_NODE, 10, 110))
    take_in(clocks, see_response(FOREIGN_NODE, 510, 610))
    soon = take_in(clocks, see_request(FOREIGN_NODE, 900_000, 900_100))
    later = take_in(clocks, see_request(FOREIGN_NODE, 5_000_000, 5_000_100))
    assert soon is not None
    assert later is not None
    assert (soon.is_fresh, later.is_fresh) == (True, False)
    assert soon.uncertainty_ns < 150 * US < 300 * US < later.uncertainty_ns


def test_uncertainty_holds_at_every_stamp_of_the_far_node() -> None:
    """A packet that lay in the far node for 100 ms leaves the moment that is known best by 10 us."""
    clocks = Clocks()
    take_in(clocks, see_response(FOREIGN_NODE, 0, 100))
    short = take_in(clocks, see_request(FOREIGN_NODE, 200, 300))
    near = make_half(NODE_1, make_transit({3: 190, 4: 200}))
    far = make_half(FOREIGN_NODE, make_transit({5: 300, 8: 100_300}))
    long = clocks.relate(see_message(near, far))
    assert short is not None
    assert long is not None
    assert long.uncertainty_ns - short.uncertainty_ns == pytest.approx(10 * US, rel=0.02)
