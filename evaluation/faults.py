"""Question 4: does it find the cause? Faults one at a time on the testbed, by the whole chain, against the truth.

Both probes, the plugin and the sidecars run throughout; a fault comes and goes, so that both runs of a pair share all
else.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from socket import socket

from evaluation.estimates import alternate
from evaluation.fault_cases import FAULTS, Fault, Seen
from evaluation.fault_runs import Pair, Run, judge_fault
from evaluation.machine import count_cores, describe_machine
from evaluation.question import Effort, Question, Tell
from evaluation.results_faults import FaultsResult
from evaluation.segments import Exchange, divide_trace
from evaluation.trace_tail import TraceTail
from testbed.client import send_requests
from testbed.deadline import wait_until
from testbed.demo import find_missing
from testbed.demo_run import Paths, traced_nodes
from testbed.errors import TestbedError
from testbed.mesh import started_mesh
from testbed.observer import list_sightings, open_observer
from testbed.topology import CART, FRONTEND

ROUNDS = {Effort.QUICK: 5, Effort.FULL: 15}
REQUESTS_PER_RUN = {Effort.QUICK: 11, Effort.FULL: 31}
"""Odd, so that a median is a value that occurred."""

BUDGET_S = {Effort.QUICK: 90, Effort.FULL: 480}
SETTLE_TIMEOUT_S = 8.0
"""More than spans (200 ms), transits (200 ms), sweeps (1.25 s) and halves of messages (2 s) together ever wait."""

_LEAST_CORES = 2


def list_missing() -> list[str]:
    """Return what this machine lacks."""
    missing = find_missing()
    if count_cores() < _LEAST_CORES:
        missing.append(f"{_LEAST_CORES} cores: one is kept busy, the other does the rest")
    return missing


def answer(effort: Effort, work_dir: Path, tell: Tell, faults: Sequence[Fault] = FAULTS) -> FaultsResult:
    """Hold each fault in turn, in paired alternating rounds. Raises TestbedError."""
    head, started_s = describe_machine(effort), time.monotonic()
    rounds, requests = ROUNDS[effort], REQUESTS_PER_RUN[effort]
    pairs: defaultdict[str, list[Pair]] = defaultdict(list)
    with _running_bench(work_dir, tell) as bench:
        bench.run(faults[0], requests, has_fault=False)  # caches and connections are cold
        for number in range(rounds):
            tell(f"round {number + 1} of {rounds}")
            for fault in faults:
                runs = {has: bench.run(fault, requests, has_fault=has) for has in alternate(number)}
                pairs[fault.story.name].append(Pair(runs[False], runs[True]))
    return FaultsResult(
        head=head,
        rounds=rounds,
        requests_per_run=requests,
        seconds=round(time.monotonic() - started_s, 1),
        faults=tuple(judge_fault(fault.story, pairs[fault.story.name]) for fault in faults),
    )


class Bench:
    """The testbed with all programs running, and what observes it."""

    def __init__(self, paths: Paths, near: socket, far: socket) -> None:
        """Take where the trace file is, and packet sockets at the client's and the server's veth."""
        self._work_dir = paths.work_dir
        self._tail = TraceTail(paths.trace_file)
        self._near, self._far = near, far

    def run(self, fault: Fault, requests: int, *, has_fault: bool) -> Run:
        """Send requests, with the fault or without it. Raises TestbedError where none of them showed its hops."""
        for packets in (self._near, self._far):
            list_sightings(packets, FRONTEND)
        self._tail.start_run()
        with fault.hold(self._work_dir) if has_fault else nullcontext():
            headers = {"baggage": fault.baggage} if has_fault and fault.baggage else {}
            statuses = {answer.status for answer in send_requests(requests, headers=headers)}
            if statuses != {200}:
                raise TestbedError(f"{fault.story.name}: requests were answered with {sorted(statuses)}")
        near, far = (list_sightings(packets, FRONTEND) for packets in (self._near, self._far))
        exchanges = self._collect(requests, fault.is_settled if has_fault else lambda _: True)
        if not exchanges:
            raise TestbedError(f"{fault.story.name}: no request of {requests} shows all its hops")
        true_ns = fault.tell_truth(Seen(exchanges, near, far))
        return Run(exchanges, requests, true_ns)

    def _collect(self, requests: int, is_settled: Callable[[Exchange], bool]) -> list[Exchange]:
        """Return the run's calls once all hops have come, or what there is when no more come."""
        exchanges: list[Exchange] = []

        def are_whole() -> bool:
            divided = map(divide_trace, self._tail.read_traces())
            exchanges[:] = [exchange for exchange in divided if exchange is not None]
            return sum(map(is_settled, exchanges)) >= requests

        with suppress(TestbedError):  # what is missing is counted as incomplete
            wait_until(are_whole, "hops are missing", SETTLE_TIMEOUT_S)
        return [exchange for exchange in exchanges if is_settled(exchange)]


@contextmanager
def _running_bench(work_dir: Path, tell: Tell) -> Iterator[Bench]:
    tell("network, plugin, probes, services")
    with (
        traced_nodes(work_dir, tell) as paths,
        started_mesh(paths.logs, queueing=True),
        open_observer(FRONTEND.node.namespace, FRONTEND.host_veth) as near,
        open_observer(CART.node.namespace, CART.host_veth) as far,
    ):
        yield Bench(paths, near, far)


QUESTION = Question("faults", "Does it find the cause?", BUDGET_S, list_missing, answer)
