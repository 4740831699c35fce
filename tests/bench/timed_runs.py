"""Times programs by PROG_TEST_RUN, net of an empty one: ns a run, in a row or as medians of single shots.

Runs alternate with those of the empty program, so that a slow minute of the machine slows both.
"""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from tests.kernel.bpf_harness import Harness

IN_A_ROW = 10_000
"""Transits started at a time, below the 32768 that their table holds."""

MOST = 0.99
"""Of so many messages a few find their set full."""


@dataclass(frozen=True)
class Effort:
    """How much is measured: rounds, pairs of alternating runs in each, repetitions in a run, and single shots."""

    rounds: int
    pairs: int
    repeat: int
    shots: int


class Timer:
    """Times programs of a harness, with some effort."""

    def __init__(self, harness: Harness, effort: Effort) -> None:
        self._harness = harness
        self._effort = effort

    def time_pair(self, program: str, base: str, packets: dict[str, bytes], repeat: int) -> int:
        """Time one run of each, and leave in `packets` those that the next ones go on with. Return the difference."""
        durations = []
        for name in (base, program):
            run = self._harness.run(name, packets[name], repeat)
            packets[name] = run.packet
            durations.append(run.duration_ns)
        return durations[1] - durations[0]

    def time_pairs(self, program: str, base: str, packet: bytes) -> tuple[float, bytes]:
        """Return the median over pairs of long runs, and the packet that the program's last one left."""
        packets = {base: packet, program: packet}
        differences = [self.time_pair(program, base, packets, self._effort.repeat) for _ in range(self._effort.pairs)]
        return statistics.median(differences), packets[program]

    def time_row(self, program: str, base: str, packet: bytes) -> float:
        """Time what starts a transit in each of IN_A_ROW repetitions, without a system call between."""
        self._harness.start_afresh()
        duration = self.time_pair(program, base, {base: packet, program: packet}, IN_A_ROW)
        if self._harness.counts().get("transits_started", 0) < IN_A_ROW * MOST:
            raise AssertionError(f"not every run started a transit: {self._harness.counts()}")
        return duration

    def time_shots(self, first: str, last: str, packets: Iterable[bytes]) -> tuple[float, float]:
        """Return the medians of single shots at a first and a last point, of the packets, each a new message."""
        self._harness.start_afresh()
        shots: dict[str, list[int]] = {"empty": [], first: [], last: []}
        for packet in packets:
            for program, durations in shots.items():
                durations.append(self._harness.run(program, packet).duration_ns)
        counts = self._harness.counts()
        if {counts.get("transits_started"), counts.get("transits_emitted")} != {len(shots["empty"])}:
            raise AssertionError(f"not every shot started and ended a transit: {counts}")
        base = statistics.median(shots["empty"])
        return statistics.median(shots[first]) - base, statistics.median(shots[last]) - base
