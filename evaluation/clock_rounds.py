"""Turns the stamps that two clocks gave to messages into how they differ. Pure: values in, values out."""

import itertools
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from evaluation.estimates import estimate_growth, estimate_median, find_quantile
from evaluation.results_clock import HopClocks, Missed, Observed, PointClocks
from evaluation.segments import name_segment
from node_probe.transit import Direction, Point
from testbed.capture_file import MessageKey
from testbed.demo_verdict import CHAINS
from testbed.stamps import Stamps
from testbed.topology import CART_SERVICE, NODE_1, NODE_2

HOPS = CHAINS[CART_SERVICE].hops
SHARES = (0.01, 0.02, *(step / 20 for step in range(1, 20)), 0.98, 0.99, 0.995, 0.999)
"""Where distributions are kept: enough to draw them, and their tails."""

PERCENTS = (50.0, 99.0)
"""Of what a request took end to end."""

SEED = 20221129
_DECIMALS = 3
"""Of microseconds: stamps are in nanoseconds."""

_LEAVING = frozenset({Point.POD_EGRESS, Point.OVERLAY_EGRESS, Point.NIC_EGRESS, Point.VETH_EGRESS})
_FIRST = frozenset({Point.POD_EGRESS, Point.NIC_INGRESS})


class Place(NamedTuple):
    """A hop of a message, or with a point's number a point that it met."""

    direction: Direction
    number: int


Times = Mapping[Place, Sequence[int]]
"""In ns, a packet each."""


@dataclass(frozen=True)
class SamePackets:
    """What both clocks told of the same messages: their hops, in the same order, and the difference at each point."""

    hopspan: Times
    tcpdump: Times
    differences: Times
    """hopspan's stamp less tcpdump's, by point."""
    count: int
    incomplete: int
    """Messages that one of them saw at all points, and the other did not."""


@dataclass(frozen=True)
class ClockRound:
    """What a round's four runs gave: neither clock, each alone, and both at once."""

    hopspan_alone: Times
    tcpdump_alone: Times
    both: SamePackets
    latencies_us: Mapping[str, Mapping[float, float]]
    """By OFF, HOPSPAN, TCPDUMP or BOTH, and percent: what a request took end to end."""


_Pick = Callable[[ClockRound], Times]

OFF, HOPSPAN, TCPDUMP, BOTH = ("off", "hopspan", "tcpdump", "both")


@dataclass(frozen=True)
class MissedRun:
    """One run of one tool at one load."""

    tool: str
    load: str
    rate: float
    percent: float


def list_whole(stamps: Stamps) -> list[MessageKey]:
    """Return the messages that have a stamp of every point."""
    return [key for key, of_points in stamps.items() if len(of_points) == len(Point)]


def time_hops(stamps: Stamps, keys: Sequence[MessageKey]) -> dict[Place, list[int]]:
    """Return what each hop of these messages took, in their order."""
    times: dict[Place, list[int]] = {}
    for key in keys:
        met = [stamps[key][point] for point in Point]
        for number, (start, stop) in enumerate(itertools.pairwise(met)):
            times.setdefault(Place(Direction(key.direction), number), []).append(stop - start)
    return times


def compare_clocks(ours: Stamps, theirs: Stamps) -> SamePackets:
    """Return what hopspan's and tcpdump's clock told of the messages that both saw at all points."""
    whole, whole_too = list_whole(ours), set(list_whole(theirs))
    keys = [key for key in whole if key in whole_too]
    differences: dict[Place, list[int]] = {}
    for key in keys:
        for point in Point:
            place = Place(Direction(key.direction), point)
            differences.setdefault(place, []).append(ours[key][point] - theirs[key][point])
    incomplete = len(whole) + len(whole_too) - 2 * len(keys)
    return SamePackets(time_hops(ours, keys), time_hops(theirs, keys), differences, len(keys), incomplete)


def judge_hops(rounds: Sequence[ClockRound]) -> tuple[HopClocks, ...]:
    """Return each hop by both clocks. Raises ValueError for fewer rounds than two."""
    chance = Random(SEED)  # noqa: S311 - no secret: the same rounds give the same bounds
    return tuple(_judge_hop(place, rounds, chance) for place in sorted(rounds[0].both.hopspan))


def judge_points(rounds: Sequence[ClockRound]) -> tuple[PointClocks, ...]:
    """Return the difference at each point. Raises as `judge_hops`."""
    chance = Random(SEED)  # noqa: S311
    return tuple(_judge_point(place, rounds, chance) for place in sorted(rounds[0].both.differences))


def judge_latencies(rounds: Sequence[ClockRound]) -> tuple[Observed, ...]:
    """Return what each clock did to the whole exchange, by the client's. Raises as `judge_hops`."""
    chance = Random(SEED)  # noqa: S311

    def grow(state: str, percent: float) -> list[tuple[float, float]]:
        return [(one.latencies_us[OFF][percent], one.latencies_us[state][percent]) for one in rounds]

    return tuple(
        Observed(
            percent=percent,
            off_us=estimate_median([one.latencies_us[OFF][percent] for one in rounds], chance),
            by_hopspan_us=estimate_growth(grow(HOPSPAN, percent), chance),
            by_tcpdump_us=estimate_growth(grow(TCPDUMP, percent), chance),
            by_both_us=estimate_growth(grow(BOTH, percent), chance),
        )
        for percent in PERCENTS
    )


def judge_missed(runs: Sequence[MissedRun]) -> tuple[Missed, ...]:
    """Return for each tool and load what was missed, in the order of the runs. Raises as `judge_hops`."""
    chance = Random(SEED)  # noqa: S311
    groups: dict[tuple[str, str], list[MissedRun]] = {}
    for run in runs:
        groups.setdefault((run.tool, run.load), []).append(run)
    return tuple(
        Missed(
            tool=tool,
            load=load,
            rate=estimate_median([run.rate for run in some], chance),
            percent=estimate_median([run.percent for run in some], chance),
        )
        for (tool, load), some in sorted(groups.items())
    )


def name_hop(place: Place) -> str:
    """Return the hop's name, direction and node, as question 4's segments are called."""
    is_near = (place.number <= HOPS.index("underlay")) == (place.direction == Direction.REQUEST)
    return name_segment(HOPS[place.number], place.direction.label, (NODE_1 if is_near else NODE_2).name)


def _judge_hop(place: Place, rounds: Sequence[ClockRound], chance: Random) -> HopClocks:
    def effect(alone: _Pick, both: _Pick) -> list[tuple[float, float]]:
        return [(_median_us(alone(one)[place]), _median_us(both(one)[place])) for one in rounds]

    pairs = [zip(one.both.hopspan[place], one.both.tcpdump[place], strict=True) for one in rounds]
    differences = [_median_us([mine - theirs for mine, theirs in of_round]) for of_round in pairs]
    return HopClocks(
        hop=name_hop(place),
        hopspan=_distribute([time for one in rounds for time in one.both.hopspan[place]]),
        tcpdump=_distribute([time for one in rounds for time in one.both.tcpdump[place]]),
        hopspan_alone=_distribute([time for one in rounds for time in one.hopspan_alone[place]]),
        tcpdump_alone=_distribute([time for one in rounds for time in one.tcpdump_alone[place]]),
        difference_us=estimate_median(differences, chance),
        by_tcpdump_us=estimate_growth(effect(lambda one: one.hopspan_alone, lambda one: one.both.hopspan), chance),
        by_hopspan_us=estimate_growth(effect(lambda one: one.tcpdump_alone, lambda one: one.both.tcpdump), chance),
    )


def _judge_point(place: Place, rounds: Sequence[ClockRound], chance: Random) -> PointClocks:
    point = Point(place.number)
    pooled = sorted(difference for one in rounds for difference in one.both.differences[place])
    return PointClocks(
        point=point.label,
        direction=place.direction.label,
        is_leaving=point in _LEAVING,
        is_first=point in _FIRST,
        bias_us=estimate_median([_median_us(one.both.differences[place]) for one in rounds], chance),
        low_us=find_quantile(pooled, 0.01) / 1e3,
        high_us=find_quantile(pooled, 0.99) / 1e3,
        packets=len(pooled),
    )


def _median_us(times_ns: Sequence[int]) -> float:
    return round(statistics.median(times_ns) / 1e3, _DECIMALS)


def _distribute(times_ns: Sequence[int]) -> tuple[float, ...]:
    ordered = sorted(times_ns)
    return tuple(find_quantile(ordered, share) / 1e3 for share in SHARES)
