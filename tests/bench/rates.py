"""Measures the requests a second that are lost at saturation to hopspan, to its kernel side alone, and to tcpdump.

Each variant runs between two runs without anything, and is compared with their mean. A round has all variants. The
CPU time of an exchange says the same where bystanders take a share of the machine, from which the rate suffers.
"""

import statistics
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.kernel_facts import list_children, list_softirq_threads, read_cpu_ns
from testbed.load import Load, run_load
from testbed.losses import read_capture_lost_percent, read_lost_percent, read_uncounted
from testbed.process import ManagedProcess
from testbed.variants import Counts, Running, running_agents, running_captures, running_readers
from tests.bench.figures import loss_percent, spread

LEAST_LOSS_PERCENT = 2.0
"""Below this loss to tcpdump the ratio to it would be noise."""

HOPSPAN_1, HOPSPAN_100, KERNEL_100, TCPDUMP = VARIANTS = ("hopspan_1", "hopspan_100", "kernel_100", "tcpdump")


@dataclass(frozen=True)
class Piece:
    """One run of a variant between two runs without anything."""

    load: Load
    before: Load
    after: Load
    counts: list[Counts]
    own_cpu_percent: float
    """Of one core: what the variant's own processes took."""
    sink_cpu_percent: float

    @property
    def loss(self) -> float:
        return loss_percent(self.load.rate, statistics.mean((self.before.rate, self.after.rate)))

    @property
    def cpu_loss(self) -> float:
        """Return the loss that follows from the CPU time of an exchange where that is all that limits the rate."""
        return loss_percent(1 / self.load.cpu_us, 1 / statistics.mean((self.before.cpu_us, self.after.cpu_us)))


class RateBench:
    """The testbed with server and sink running, and what was measured in it."""

    def __init__(
        self, work_dir: Path, server: ManagedProcess, sink: tuple[ManagedProcess, str], seconds: int
    ) -> None:
        """Take the server, and the null sink with its endpoint; each run takes `seconds`."""
        self._work_dir = work_dir
        self._sink, self._endpoint = sink
        self._pids = [server.pid, *list_children(server.pid), self._sink.pid, *list_softirq_threads()]
        self._seconds = seconds
        self._off: list[Load] = []
        self._pieces: dict[str, list[Piece]] = {name: [] for name in VARIANTS}

    def measure(self, rounds: int) -> dict[str, Any]:
        """Return the figures under `rps`."""
        for number in range(rounds):
            self._off.append(self._run(100, []))
            # Each round in another order, so that no variant always follows the same one.
            for name in VARIANTS[number % len(VARIANTS) :] + VARIANTS[: number % len(VARIANTS)]:
                self._measure_variant(name)
        return self._summarise()

    def list_pieces(self) -> list[dict[str, Any]]:
        """Return each run, for the report's raw part."""
        return [
            {
                "variant": name,
                "counts": [count.get("counters", count) for count in piece.counts],
                **{
                    when: {
                        "rate": round(load.rate),
                        "cpu_us": round(load.cpu_us, 2),
                        "idle": round(load.idle_percent),
                    }
                    for when, load in (("before", piece.before), ("with", piece.load), ("after", piece.after))
                },
            }
            for name, pieces in self._pieces.items()
            for piece in pieces
        ]

    def _measure_variant(self, name: str) -> None:
        before = self._off[-1]
        with self._start(name) as running:
            pids = [process.pid for process in running.processes]
            own_ns, sink_ns = sum(map(read_cpu_ns, pids)), read_cpu_ns(self._sink.pid)
            load = self._run(1 if name == HOPSPAN_1 else 100, pids)
            own_ns, sink_ns = sum(map(read_cpu_ns, pids)) - own_ns, read_cpu_ns(self._sink.pid) - sink_ns
        self._off.append(self._run(100, []))
        shares = (100 * ns / (load.seconds * 1e9) for ns in (own_ns, sink_ns))
        self._pieces[name].append(Piece(load, before, self._off[-1], running.counts, *shares))

    def _start(self, name: str) -> AbstractContextManager[Running]:
        if name == KERNEL_100:
            return running_readers(self._work_dir)
        if name == TCPDUMP:
            return running_captures(self._work_dir)
        return running_agents(self._work_dir, self._endpoint)

    def _run(self, percent: int, pids: list[int]) -> Load:
        return run_load(self._work_dir, self._seconds, percent, pids=[*self._pids, *pids])

    def _summarise(self) -> dict[str, Any]:
        pieces = self._pieces
        cpu_losses = {name: [piece.cpu_loss for piece in some] for name, some in pieces.items()}
        ours = [name for name in VARIANTS if name != TCPDUMP]
        return {
            **summarise_losses({name: [piece.loss for piece in some] for name, some in pieces.items()}),
            "by_cpu": {
                **summarise_losses(cpu_losses),
                "us_per_exchange": {
                    "off": spread([load.cpu_us for load in self._off]),
                    **{name: spread([piece.load.cpu_us for piece in some]) for name, some in pieces.items()},
                },
            },
            "off": spread([load.rate for load in self._off]),
            "off_idle_percent": spread([load.idle_percent for load in self._off]),
            **{name: spread([piece.load.rate for piece in some]) for name, some in pieces.items()},
            "own_cpu_percent": {n: spread([p.own_cpu_percent for p in some]) for n, some in pieces.items()},
            "sink_cpu_percent": {n: spread([p.sink_cpu_percent for p in some]) for n, some in pieces.items()},
            "transits_lost_percent": {n: spread([read_lost_percent(p.counts) for p in pieces[n]]) for n in ours},
            "transits_uncounted": {n: spread([read_uncounted(p.counts) for p in pieces[n]]) for n in ours},
            "packets_lost_percent_tcpdump": spread([read_capture_lost_percent(p.counts) for p in pieces[TCPDUMP]]),
        }


def summarise_losses(losses: dict[str, list[float]]) -> dict[str, Any]:
    """Return the losses in percent by variant and round as figures."""
    agent = [whole - kernel for whole, kernel in zip(losses[HOPSPAN_100], losses[KERNEL_100], strict=True)]
    return {
        "loss_percent_1": spread(losses[HOPSPAN_1]),
        "loss_percent_100": spread(losses[HOPSPAN_100]),
        "loss_percent_100_kernel": spread(losses[KERNEL_100]),
        "loss_percent_100_agent": spread(agent),
        "loss_percent_tcpdump": spread(losses[TCPDUMP]),
        "kernel_vs_tcpdump": compare_losses(losses[KERNEL_100], losses[TCPDUMP]),
    }


def compare_losses(ours: list[float], theirs: list[float]) -> dict[str, float] | None:
    """Return our loss divided by theirs, paired by round; None where theirs is too small to divide by."""
    if statistics.median(theirs) < LEAST_LOSS_PERCENT:
        return None
    return spread([mine / other for mine, other in zip(ours, theirs, strict=True) if other >= LEAST_LOSS_PERCENT])


def describe() -> dict[str, str]:
    """Return what the figures under `rps` are, for the report's notes."""
    return {
        "rps": "wrk in the frontend pod, nginx in the cart pod, overlay between; both cores saturated; each variant "
        "is compared with the mean of the runs without anything before and after it",
        "rps.by_cpu": "the same losses from the CPU time of an exchange (wrk, nginx, ksoftirqd, sink and the "
        "variant's own processes), which bystanders on the machine disturb less than the rate",
        "rps.loss_percent_100_agent": "what the whole loses beyond the kernel side with a minimal reader; it holds "
        "the null sink, which shares the two cores",
        "rps.loss_percent_tcpdump": "one tcpdump -w /dev/null -s 512 on each of the 8 devices on the way, both "
        "directions",
        "rps.own_cpu_percent": "of one core, during the load: both agents, both readers, or all of tcpdump",
        "rps.transits_lost_percent": "transits started that were not delivered (or read)",
        "rps.transits_uncounted": "transits that the kernel handed over or the sweep took, and that were neither "
        "delivered nor counted under a reason: must be 0",
    }
