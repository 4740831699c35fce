"""A pair's estimate between its bounds: by the line that is fitted to them, while nothing refutes it."""

import pytest

from collector_plugin.clock_pairs import NodePair, Theta
from collector_plugin.clock_sightings import PairKey, Sighting
from tests.collector_plugin.builders import MS, SECOND, US

PAIR: PairKey = (("boot-a", "node-1"), ("boot-b", "node-2"))
WIRE_NS = 100 * US


def send(sign: int, at_ns: int, theta_ns: int, wire_ns: int = WIRE_NS) -> Sighting:
    """Return a message that was at A at `at_ns`, while B's clock was ahead by `theta_ns`."""
    return Sighting(PAIR, sign, at_ns, theta_ns + sign * wire_ns, is_near_first=True)


def run_steadily(pair: NodePair, slope: float, seconds: int = 10) -> None:
    """Let ten exchanges a second pass while B's clock gains on A's; a third of the messages is prompt."""
    for number in range(10 * seconds):
        at_ns = number * SECOND // 10
        late_ns = number % 3 * 40 * US
        pair.observe(send(1, at_ns, round(slope * at_ns), WIRE_NS + late_ns))
        pair.observe(send(-1, at_ns + MS, round(slope * (at_ns + MS)), WIRE_NS + 80 * US - late_ns))
        assert pair.relate(send(1, at_ns, round(slope * at_ns), WIRE_NS + late_ns)) is not None


def pass_message(pair: NodePair, message: Sighting) -> Theta:
    """Take the message in and return theta for it."""
    assert pair.observe(message)
    theta = pair.relate(message)
    assert theta is not None
    return theta


@pytest.mark.parametrize("slope", [0.0, 50e-6, -50e-6])
def test_drift_that_was_measured_holds_over_a_pause(slope: float) -> None:
    """After two minutes the bound is off by 12 ms, and the line by microseconds."""
    pair = NodePair()
    run_steadily(pair, slope)
    at_ns = 130 * SECOND
    theta = pass_message(pair, send(1, at_ns, round(slope * at_ns)))
    assert abs(theta.value_ns - slope * at_ns) < 20 * US
    assert theta.uncertainty_ns > 5 * MS
    assert theta.distance_ns > 119 * SECOND


def test_line_serves_while_there_is_no_newer_one() -> None:
    """Requests alone, after a pause, determine none."""
    pair = NodePair()
    run_steadily(pair, 50e-6)
    for number in range(40):
        at_ns = 130 * SECOND + number * SECOND // 10
        theta = pass_message(pair, send(1, at_ns, round(50e-6 * at_ns)))
        assert abs(theta.value_ns - 50e-6 * at_ns) < 20 * US


def test_line_that_the_bounds_refute_is_given_up() -> None:
    """The drift changed in the pause: the middle of the bounds is better than the line and their end."""
    pair = NodePair()
    run_steadily(pair, 0.0)
    at_ns, theta_ns = 130 * SECOND, 3 * MS
    pair.observe(send(1, at_ns, theta_ns))
    theta = pass_message(pair, send(-1, at_ns + MS, theta_ns))
    assert abs(theta.value_ns - theta_ns) < US
    assert theta.uncertainty_ns < 101 * US


def test_line_just_outside_the_bounds_is_cut_to_them() -> None:
    """A message that is faster than any before bounds it, and does not refute it."""
    pair = NodePair()
    for number in range(100):
        at_ns = number * SECOND // 10
        pair.observe(send(1, at_ns, 0, 100 * US))
        pair.observe(send(-1, at_ns + MS, 0, 300 * US))
    pass_message(pair, send(1, 10 * SECOND, 0, 100 * US))
    fast = pass_message(pair, send(-1, 10 * SECOND, 0, 90 * US))
    assert fast.value_ns == pytest.approx(-90 * US, abs=10)


def test_room_that_is_left_is_the_uncertainty() -> None:
    """From the estimate to the farther of the two bounds, so that the truth may be anywhere between them."""
    pair = NodePair()
    pair.observe(send(1, SECOND, 0, 50 * US))
    theta = pass_message(pair, send(-1, SECOND + MS, 0, 150 * US))
    assert abs(theta.value_ns + 50 * US) < US
    assert 100 * US <= theta.uncertainty_ns < 101 * US


def test_message_that_bounds_nothing_is_related_by_one_that_passed_the_other_way() -> None:
    """Without a message of its own direction there is no line yet: its own stamps are the other bound."""
    pair = NodePair()
    assert pair.observe(send(-1, SECOND, 0, 50 * US))
    theta = pair.relate(send(1, SECOND, 0, 150 * US))
    assert theta is not None
    assert theta.distance_ns == 0
    assert theta.value_ns == pytest.approx(50 * US, abs=1)
    assert theta.uncertainty_ns == pytest.approx(100 * US, abs=1)
