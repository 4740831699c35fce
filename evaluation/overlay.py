"""Question 5: overlay or not, hop by hop: VXLAN, host-gw and same node, with few services and with many.

The whole chain runs throughout; routes and services are changed below it, so that runs of a round share all else.
"""

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from evaluation.machine import describe_machine
from evaluation.overlay_calls import HOST_GW, SAME_NODE, VXLAN, Call, read_call
from evaluation.overlay_rounds import (
    FEW,
    KEPT,
    MANY,
    NEW,
    SILENT,
    Key,
    Round,
    Run,
    compare_services,
    compare_ways,
    make_cases,
    merge_runs,
)
from evaluation.question import Effort, Question, Tell
from evaluation.results_overlay import Case, Difference, OverlayResult, Passages
from evaluation.trace_tail import TraceTail
from testbed.client import Answer, send_requests
from testbed.command import run_command
from testbed.deadline import pause, wait_until
from testbed.demo import find_missing
from testbed.demo_run import Paths, traced_nodes
from testbed.errors import TestbedError
from testbed.mesh import started_mesh
from testbed.namespace import open_socket
from testbed.network import change_routes, change_services, change_udp_timeout
from testbed.overlay import FLANNEL, Overlay
from testbed.passages import counted_passages
from testbed.topology import CART_SERVICE, CATALOG_SERVICE, FRONTEND, SERVICES, Service

ROUNDS = {Effort.QUICK: 3, Effort.FULL: 15}
REQUESTS_PER_RUN = {Effort.QUICK: 11, Effort.FULL: 31}
"""Odd, so that a median is a value that occurred."""

BUDGET_S = {Effort.QUICK: 80, Effort.FULL: 420}
SETTLE_TIMEOUT_S = 6.0
"""More than spans (200 ms), transits (200 ms) and halves of messages (2 s) together ever wait."""

_ROUTES = {VXLAN: FLANNEL, HOST_GW: Overlay(is_direct=True)}
_ORDER = (Key(VXLAN, FEW), Key(HOST_GW, FEW), Key(HOST_GW, MANY), Key(VXLAN, MANY))
"""Of a round, and backwards in the next: what changes seldom costs seldom."""

_SILENT_ORDER = (Key(VXLAN, FEW), Key(VXLAN, MANY))
"""Of a round with silence before each request: without a tunnel silence changes nothing that conntrack knows."""

_SILENT_REQUESTS = 3
_UDP_TIMEOUT_S, _SILENCE_S = 1, 1.6
"""Instead of the kernel's 30 s, and longer than it."""


def answer(effort: Effort, work_dir: Path, tell: Tell) -> OverlayResult:
    """Take all ways in paired alternating rounds, with either kind of connection. Raises TestbedError."""
    head, started_s = describe_machine(effort), time.monotonic()
    cases: list[Case] = []
    by_services: list[Difference] = []
    by_way: list[Difference] = []
    passages: list[Passages] = []
    with _running_bench(work_dir, tell) as bench:
        for connection in (KEPT, NEW):
            tell(f"connections: {connection}")
            with started_mesh(Paths(work_dir).logs, fresh=connection == NEW):
                taken = {connection: _take_rounds(bench, effort, tell)}
                if connection == KEPT:
                    passages = _count_passages(bench, REQUESTS_PER_RUN[effort])
                    taken[SILENT] = _take_silent_rounds(bench, effort, tell)
            for name, rounds in taken.items():
                cases += make_cases(name, rounds)
                by_services += compare_services(name, rounds)
            by_way += compare_ways(connection, taken[connection])
    return OverlayResult(
        head=head,
        rounds=ROUNDS[effort],
        requests_per_run=REQUESTS_PER_RUN[effort],
        rules=run_command(["iptables", "-V"]).strip(),
        seconds=round(time.monotonic() - started_s, 1),
        cases=tuple(cases),
        by_services=tuple(by_services),
        by_way=tuple(by_way),
        passages=tuple(passages),
    )


class Bench:
    """The testbed with plugin and probes, whose routes and rules change."""

    def __init__(self, paths: Paths) -> None:
        """Take where the trace file is; the nodes are as they were built."""
        self._tail = TraceTail(paths.trace_file)
        self._others = 0

    def run(self, key: Key, requests: int, silence_s: float = 0.0) -> dict[str, Run]:
        """Send requests by the way and among the services of the key; return the runs by way, same node too.

        With silence it lies before each request.
        """
        self.change(key)
        ways = {key.way: CART_SERVICE, SAME_NODE: CATALOG_SERVICE}
        # First, so that no request waits for a neighbour's address either.
        connects = {way: time_connects(service, requests) for way, service in ways.items()}
        self._tail.start_run()
        started_ns = time.time_ns()
        statuses = {answer.status for answer in _ask_frontend(requests, silence_s)}
        if statuses != {200}:
            raise TestbedError(f"{key}: requests were answered with {sorted(statuses)}")
        calls = self._collect(ways, requests, started_ns)
        if empty := [way for way, some in calls.items() if not some]:
            raise TestbedError(f"{key}: no request of {requests} shows all its hops by {', '.join(empty)}")
        return {way: Run(calls[way], requests, connects[way]) for way in ways}

    def change(self, key: Key) -> None:
        """Lead and serve as the key has it. Raises TestbedError."""
        change_routes(_ROUTES[key.way])
        others = key.services - len(SERVICES)
        if others != self._others:
            change_services(others)
            self._others = others

    def _collect(self, ways: dict[str, Service], requests: int, started_ns: int) -> dict[str, list[Call]]:
        """Return the run's calls once all hops have come, or what there is when no more come."""
        calls: dict[str, list[Call]] = {}

        def are_whole() -> bool:
            traces = self._tail.read_traces()
            for way, service in ways.items():
                read = (read_call(trace, way, service) for trace in traces)
                calls[way] = [call for call in read if call is not None and call.start_ns >= started_ns]
            return all(len(some) >= requests for some in calls.values())

        with suppress(TestbedError):  # what is missing is counted as incomplete
            wait_until(are_whole, "hops are missing", SETTLE_TIMEOUT_S)
        return calls


def time_connects(service: Service, count: int) -> list[int]:
    """Return how long each of so many connections from the frontend's pod to the service took to be made, in ns."""
    durations = []
    for _ in range(count):
        with open_socket(FRONTEND.namespace) as client:
            started_ns = time.monotonic_ns()
            client.connect((str(service.cluster_address), service.port))
            durations.append(time.monotonic_ns() - started_ns)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    return durations


_RESET = b"\x01\x00\x00\x00\x00\x00\x00\x00"
"""struct linger: closing ends the connection at once, and leaves nothing that waits."""


def _ask_frontend(requests: int, silence_s: float) -> list[Answer]:
    if not silence_s:
        return send_requests(requests)
    answers = []
    for _ in range(requests):
        pause(silence_s)
        answers += send_requests(1)
    return answers


def _take_silent_rounds(bench: Bench, effort: Effort, tell: Tell) -> Sequence[Round]:
    rounds = []
    tell(f"connections: {SILENT}")
    change_udp_timeout(_UDP_TIMEOUT_S)
    for number in range(ROUNDS[effort]):
        tell(f"round {number + 1} of {ROUNDS[effort]}")
        found: dict[Key, Run] = {}
        for key in _SILENT_ORDER if number % 2 == 0 else reversed(_SILENT_ORDER):
            runs = bench.run(key, _SILENT_REQUESTS, _SILENCE_S)
            found |= {Key(way, key.services): run for way, run in runs.items()}
        rounds.append(found)
    change_udp_timeout()
    return rounds


def _take_rounds(bench: Bench, effort: Effort, tell: Tell) -> Sequence[Round]:
    requests = REQUESTS_PER_RUN[effort]
    bench.run(_ORDER[0], requests)  # caches and connections are cold
    rounds = []
    for number in range(ROUNDS[effort]):
        tell(f"round {number + 1} of {ROUNDS[effort]}")
        found: dict[Key, Run] = {}
        for key in _ORDER if number % 2 == 0 else reversed(_ORDER):
            for way, run in bench.run(key, requests).items():
                place = Key(way, key.services)
                found[place] = merge_runs(found[place], run) if place in found else run
        rounds.append(found)
    return rounds


def _count_passages(bench: Bench, connections: int) -> list[Passages]:
    found = []
    for way, through, service in (
        (VXLAN, VXLAN, CART_SERVICE),
        (HOST_GW, HOST_GW, CART_SERVICE),
        (SAME_NODE, HOST_GW, CATALOG_SERVICE),
    ):
        bench.change(Key(through, FEW))
        with counted_passages() as read_count:
            time_connects(service, connections)
            found.append(Passages(way, connections, read_count()))
    return found


@contextmanager
def _running_bench(work_dir: Path, tell: Tell) -> Iterator[Bench]:
    tell("network, plugin, probes")
    with traced_nodes(work_dir, tell) as paths:
        yield Bench(paths)


list_missing = find_missing

QUESTION = Question("overlay", "Overlay or not", BUDGET_S, list_missing, answer)
