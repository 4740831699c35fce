"""Reads what the kernel tells of loaded programs (instructions verified, runs and their time) and of processes.

Thin: /proc and one bpf(2) command.
"""

import contextlib
import ctypes
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from node_probe.bpf import call_bpf

_ENABLE_STATS = 32  # since kernel 5.8
_KIB_PER_MIB = 1024


class _Stats(ctypes.Structure):
    _fields_ = (("type", ctypes.c_uint32),)  # 0: BPF_STATS_RUN_TIME


@contextmanager
def counting_runs() -> Iterator[None]:
    """Let the kernel time every run of every program, which adds some 30 ns to each."""
    fd = call_bpf(_ENABLE_STATS, _Stats())
    try:
        yield
    finally:
        os.close(fd)


def read_program_facts(fd: int) -> dict[str, int]:
    """Return `run_time_ns`, `run_cnt` and `verified_insns` of a program of this process, as far as they are told."""
    text = Path(f"/proc/self/fdinfo/{fd}").read_text()
    found = re.findall(r"^(run_time_ns|run_cnt|verified_insns):\s*(\d+)$", text, re.MULTILINE)
    return {name: int(value) for name, value in found}


def read_cpu_ns(pid: int) -> int:
    """Return the CPU time of a process with all its threads."""
    # The clock of another process, as clock_getcpuclockid(3) makes it; Python has no name for it.
    return time.clock_gettime_ns((~pid << 3) | 2)


def list_children(pid: int) -> list[int]:
    """Return the processes that a process has started and that still run."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def list_softirq_threads() -> list[int]:
    """Return the kernel threads that take over what softirqs leave: packets, under load."""
    found = []
    for path in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):  # gone meanwhile
            if path.read_text().startswith("ksoftirqd/"):
                found.append(int(path.parent.name))
    return found


def read_rss_mib(pid: int) -> float:
    """Return the resident memory of a process."""
    match = re.search(r"^VmRSS:\s*(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert match
    return int(match[1]) / _KIB_PER_MIB


def read_cpu_ticks() -> tuple[int, int]:
    """Return the ticks that all CPUs have spent idle or waiting for IO, and all ticks."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return fields[3] + fields[4], sum(fields)
