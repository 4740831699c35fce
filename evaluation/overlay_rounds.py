"""Turns rounds of calls by each way into the cases and their differences. Pure: values in, values out."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from random import Random
from typing import NamedTuple

from evaluation.estimates import estimate_growth, estimate_median
from evaluation.overlay_calls import HOST_GW, SAME_NODE, VXLAN, Call, name_hops
from evaluation.results_overlay import Case, Difference, Part
from evaluation.values import Estimate

KEPT, SILENT, NEW = "kept", "kept, after silence", "new for each request"
"""The kinds of connections between sidecars."""

FEW, MANY = 10, 5_000
"""Services on the nodes, ours among them."""

WAYS = (VXLAN, HOST_GW, SAME_NODE)

NETWORK, BEFORE, CONNECT, CALL = "all hops", "client pod, before the request", "connect(2)", "CLIENT span"
"""What is compared beside single hops."""

SEED = 20221128
"""Any number will do, if it stays."""


class Key(NamedTuple):
    """What a run is about, beside its connections."""

    way: str
    services: int


class Run(NamedTuple):
    """The calls of one run that showed all their hops, how many were made, and how long connecting took."""

    calls: Sequence[Call]
    made: int
    connects_ns: Sequence[int]

    def find_median(self, pick: Callable[[Call], int]) -> float:
        """Return the median over the calls, in us."""
        return statistics.median(map(pick, self.calls)) / 1e3

    def measure(self, what: str) -> float:
        """Return the median of what is compared, in us."""
        if what == CONNECT:
            return statistics.median(self.connects_ns) / 1e3
        picks: Mapping[str, Callable[[Call], int]] = {
            NETWORK: lambda call: sum(call.hops.values()),
            BEFORE: lambda call: call.before_ns,
            CALL: lambda call: call.duration_ns,
        }
        return self.find_median(picks[what])


Round = Mapping[Key, Run]


def merge_runs(one: Run, other: Run) -> Run:
    """Return both runs as one: the same way, taken twice in a round."""
    return Run([*one.calls, *other.calls], one.made + other.made, [*one.connects_ns, *other.connects_ns])


def make_cases(connection: str, rounds: Sequence[Round]) -> list[Case]:
    """Return a case for each key of the rounds. Raises ValueError for fewer than two rounds."""
    chance = Random(SEED)  # noqa: S311 - no secret: the same rounds give the same bounds
    return [_make_case(key, connection, [one[key] for one in rounds], chance) for key in rounds[0]]


def compare_services(connection: str, rounds: Sequence[Round]) -> list[Difference]:
    """Return by how much each way of the rounds takes more with many services than with few."""
    return [
        _compare(rounds, (Key(way, FEW), Key(way, MANY)), connection, what)
        for way in WAYS
        if Key(way, FEW) in rounds[0]
        for what in (NETWORK, BEFORE, CONNECT, CALL)
    ]


def compare_ways(connection: str, rounds: Sequence[Round]) -> list[Difference]:
    """Return by how much each way takes more than the next simpler one, with few services."""
    return [
        _compare(rounds, (Key(simpler, FEW), Key(way, FEW)), connection, what)
        for simpler, way in pairwise(reversed(WAYS))
        for what in (NETWORK, CALL)
    ]


def _make_case(key: Key, connection: str, runs: Sequence[Run], chance: Random) -> Case:
    def estimate(what: str) -> Estimate:
        return estimate_median([run.measure(what) for run in runs], chance)

    parts = [
        Part(name, estimate_median([run.find_median(lambda call: call.hops[name]) for run in runs], chance))  # noqa: B023
        for name in name_hops(key.way)
    ]
    made = sum(run.made for run in runs)
    return Case(
        way=key.way,
        connection=connection,
        services=key.services,
        parts=tuple(parts),
        network_us=estimate(NETWORK),
        before_us=estimate(BEFORE),
        call_us=estimate(CALL),
        connect_us=estimate(CONNECT),
        calls=made,
        incomplete=made - sum(len(run.calls) for run in runs),
    )


def _compare(rounds: Sequence[Round], keys: tuple[Key, Key], connection: str, what: str) -> Difference:
    chance = Random(SEED)  # noqa: S311 - as above
    first, second = keys
    pairs = [(one[first].measure(what), one[second].measure(what)) for one in rounds]
    services = {first.services: None, second.services: None}
    return Difference(
        first=first.way,
        second=second.way,
        connection=connection,
        services=" to ".join(f"{number:,}" for number in services),
        what=what,
        more_us=estimate_growth(pairs, chance),
    )
