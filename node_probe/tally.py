"""What the agent counts: its own counters, and those of the programs, read when they are asked for."""

import struct
from collections.abc import Mapping

from hopspan.counters import Counters
from node_probe.bpf import BpfMap
from node_probe.counters import BURST_LOSSES, Event, KernelCounter, Reason, sum_over_cpus
from node_probe.tables import count_used


class Tally:
    """What the agent counts, and the kernel's counters beside it."""

    def __init__(self, kernel: BpfMap, tables: Mapping[str, BpfMap] | None = None) -> None:
        """`kernel` is the per-CPU array of the programs, `tables` the tags of their tables by name."""
        self.reasons: Counters[Reason] = Counters(Reason)
        self.events: Counters[Event] = Counters(Event)
        self._kernel = kernel
        self._tables = tables or {}

    def read_kernel(self) -> dict[KernelCounter, int]:
        """Return the programs' counters, summed over the CPUs."""
        values = {counter: self._kernel.lookup(struct.pack("=i", counter)) for counter in KernelCounter}
        return {counter: sum_over_cpus(value or b"") for counter, value in values.items()}

    def read_burst_losses(self) -> int:
        """Return how many records of bursts the programs may have left out or lost."""
        values = (self._kernel.lookup(struct.pack("=i", counter)) for counter in BURST_LOSSES)
        return sum(sum_over_cpus(value or b"") for value in values)

    def read_tables(self) -> dict[str, int]:
        """Return how many entries each table of the programs has."""
        return {name: count_used(tags) for name, tags in self._tables.items()}
