"""Which agents live: looks through /proc for the processes that hold the programs of our filters.

A process id alone says little: it may be another's by now, or be counted in another PID namespace. But an agent holds
its programs as long as it lives, and nobody else does.
"""

import contextlib
import os
import re
from collections.abc import Iterable
from enum import Enum
from pathlib import Path

import msgspec

from node_probe.filters import Filter, Owner

_PROC = Path("/proc")

INITIAL_PID_NAMESPACE = 0xEFFFFFFC
"""PROC_PID_INIT_INO: who is in it sees every process."""


class Fate(Enum):
    """What became of a filter's agent."""

    ALIVE = "its agent lives"
    DEAD = "its agent is dead"
    UNKNOWN = "its agent cannot be seen from here (another PID namespace, or no CAP_SYS_PTRACE)"


def read_own_identity() -> Owner:
    """Return this process as the owner of filters."""
    return Owner(os.getpid(), read_pid_namespace())


def read_pid_namespace() -> int:
    """Return the inode of this process's PID namespace."""
    return (_PROC / "self" / "ns" / "pid").stat().st_ino


def judge_owners(filters: Iterable[Filter]) -> dict[Filter, Fate]:
    """Return the fate of each filter's agent; filters that are not ours are left out."""
    census = _take_census()
    here = read_pid_namespace()
    return {item: _judge(item, item.owner, census, here) for item in filters if item.owner is not None}


class _Census(msgspec.Struct, frozen=True):
    held: frozenset[int]
    """Ids of the programs that some process holds."""
    hidden: frozenset[tuple[int, bool]]
    """Processes that may not be looked into: the id in its own PID namespace, and whether that is not this one."""
    complete: bool
    """Whether all of this PID namespace's processes are among those (no `hidepid`)."""


def _judge(item: Filter, owner: Owner, census: _Census, here: int) -> Fate:
    if item.program_id in census.held:
        return Fate.ALIVE
    seen = item.program_id > 0 and census.complete and here in (owner.pid_namespace, INITIAL_PID_NAMESPACE)
    may_be_hidden = (owner.pid, owner.pid_namespace != here) in census.hidden
    return Fate.DEAD if seen and not may_be_hidden else Fate.UNKNOWN


def _take_census() -> _Census:
    held: set[int] = set()
    hidden: set[tuple[int, bool]] = set()
    processes = [path for path in _PROC.iterdir() if path.name.isdigit()]
    complete = any(path.name == "1" for path in processes)
    for process in processes:
        # A process may end while we look: then it holds nothing.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            try:
                held |= _read_programs(process)
            except PermissionError:
                ids = _read_ids(process)
                complete = complete and bool(ids)
                hidden |= {(ids[-1], len(ids) > 1)} if ids else set()
    return _Census(frozenset(held), frozenset(hidden), complete)


def _read_programs(process: Path) -> set[int]:
    ids: set[int] = set()
    for path in (process / "fdinfo").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            ids |= {int(number) for number in re.findall(rb"^prog_id:\s*(\d+)$", path.read_bytes(), re.MULTILINE)}
    return ids


def _read_ids(process: Path) -> list[int]:
    """Return a process's ids from this PID namespace down to its own, none where they may not be read either."""
    try:
        match = re.search(r"^NSpid:(.*)$", (process / "status").read_text(errors="replace"), re.MULTILINE)
    except PermissionError:
        match = None
    return [int(number) for number in match[1].split()] if match else []
