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

_PROG_GET_FD_BY_ID, _OBJ_GET_INFO_BY_FD = 13, 15
_ENABLE_STATS = 32  # since kernel 5.8
_KIB_PER_MIB = 1024


class _Stats(ctypes.Structure):
    _fields_ = (("type", ctypes.c_uint32),)  # 0: BPF_STATS_RUN_TIME


class _ById(ctypes.Structure):
    _fields_ = (("id", ctypes.c_uint32), ("next_id", ctypes.c_uint32), ("open_flags", ctypes.c_uint32))


class _ByFd(ctypes.Structure):
    _fields_ = (("fd", ctypes.c_uint32), ("info_bytes", ctypes.c_uint32), ("info", ctypes.c_uint64))


class _ProgramInfo(ctypes.Structure):
    """struct bpf_prog_info as far as the name."""

    _fields_ = (("before", ctypes.c_uint8 * 64), ("name", ctypes.c_char * 16))


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


def read_programs_of(pid: int) -> dict[str, dict[str, int]]:
    """Return the same of all programs that another process holds, by their names (15 characters of them)."""
    ids: set[str] = set()
    for path in Path(f"/proc/{pid}/fdinfo").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            ids |= set(re.findall(r"^prog_id:\s*(\d+)$", path.read_text(), re.MULTILINE))
    found = {}
    for number in ids:
        fd = call_bpf(_PROG_GET_FD_BY_ID, _ById(id=int(number)))
        try:
            info = _ProgramInfo()
            call_bpf(_OBJ_GET_INFO_BY_FD, _ByFd(fd, ctypes.sizeof(info), ctypes.addressof(info)))
            found[info.name.decode()] = read_program_facts(fd)
        finally:
            os.close(fd)
    return found


def read_cpu_ns(pid: int) -> int:
    """Return the CPU time of a process with all its threads."""
    # The clock of another process, as clock_getcpuclockid(3) makes it; Python has no name for it.
    return time.clock_gettime_ns((~pid << 3) | 2)


def read_waited_cpu_ns(pid: int) -> int:
    """Return the CPU time of the children of a process that have ended, in steps of a tick."""
    # Behind the name, which may hold anything, come the fields from the third on (proc(5)).
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system = int(fields[16 - 3]), int(fields[17 - 3])
    return (user + system) * 10**9 // os.sysconf("SC_CLK_TCK")


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
