"""The only place where the probe's monotonic stamps meet wall-clock time, and where the clock's identity is read."""

import time
from pathlib import Path

from node_probe.clock_sets import ClockSets
from node_probe.epoch_history import EpochReading

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_READINGS = 16
"""Tries to read both clocks at once; the tightest is off by less than a microsecond, however busy the machine."""


def read_clock_id() -> str:
    """Return the kernel's boot id: CLOCK_MONOTONIC starts anew with it."""
    return _BOOT_ID.read_text().strip()


def read_epoch_offset_ns() -> int:
    """Return CLOCK_REALTIME - CLOCK_MONOTONIC. It moves when the wall clock is stepped."""
    return _read_epoch_offset()[0]


class EpochReader:
    """Reads the wall clock's offset together with the number of its steps."""

    def __init__(self) -> None:
        """Begin to count. Raises ProbeError."""
        self._sets = ClockSets()

    def read(self) -> EpochReading:
        """Return both. Raises ProbeError."""
        sets_before, start_ns = self._sets.count(), time.monotonic_ns()
        offset_ns, error_ns = _read_epoch_offset()
        return EpochReading(start_ns, time.monotonic_ns(), offset_ns, error_ns, sets_before, self._sets.count())


def _read_epoch_offset() -> tuple[int, int]:
    """Return CLOCK_REALTIME - CLOCK_MONOTONIC, and by how many ns it may be wrong."""
    readings = []
    for _ in range(_READINGS):
        before = time.monotonic_ns()
        real = time.time_ns()
        after = time.monotonic_ns()
        readings.append((after - before, real - (before + after) // 2))
    width_ns, offset_ns = min(readings)
    return offset_ns, width_ns // 2 + 1


def monotonic_ns() -> int:
    """Return CLOCK_MONOTONIC, the clock of the stamps."""
    return time.monotonic_ns()


def process_cpu_ns() -> int:
    """Return the CPU time that all threads of this process have used."""
    return time.process_time_ns()
