"""SIGKILL at any moment, from the first instruction on: of ours nothing is left, and of others everything.

A real node-probe on a node full of others' things, whose devices come and go. By tcx the kernel removes what is ours;
by clsact the guardian does, and `node-probe clean` where that was killed too.
"""

import os
import random
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from node_probe.support import find_tcx
from tests.house.repository import ROOT
from tests.kernel.crowded_node import CrowdedNode, changing_devices
from tests.kernel.foreign import seed_chance
from tests.kernel.made_node import DEADLINE_S, Probe, run, wait_until
from tests.kernel.without_tcx import WRAPPER
from tests.requirements import require_bcc, require_root
from tests.soak import scale

pytestmark = pytest.mark.bpf

ROUNDS = scale(4)
LATEST = 1.7
"""Of the time that a start takes: the last moment to be killed at."""

MAX_CHANGES = 24
"""Of qdiscs and filters, after one of which the agent may be killed: its own first dozen, and late pods'."""


FILTER = "hopspan-"
"""What the names of our filters begin with."""


class KilledProbe(Probe):
    """A probe that is not waited for, and is killed."""

    def __init__(self, node: CrowdedNode, directory: Path, *, wrapper: Sequence[str] = ()) -> None:
        """Start it; nothing is attached yet."""
        self.node = node
        super().__init__(node, directory, wrapper=wrapper)

    def _listen(self, directory: Path) -> dict[str, str]:
        # The socket's own name is taken out of the environment before there are children.
        self._mark = f"HOPSPAN_KILLED={secrets.token_hex(8)}"
        name, _, value = self._mark.partition("=")
        return {**super()._listen(directory), name: value}

    def _is_ready(self) -> bool:
        return True

    def wait_until_ready(self) -> None:
        wait_until(super()._is_ready, "a ready probe")

    def find_processes(self) -> set[int]:
        """Return the process and its children of any degree, orphans too: all inherit a mark in the environment."""
        mark = self._mark.encode()
        found = set()
        for path in Path("/proc").iterdir():
            with suppress(OSError):
                if path.name.isdigit() and mark in (path / "environ").read_bytes().split(b"\0"):
                    found.add(int(path.name))
        return found

    def kill(self, *, both: bool) -> set[str]:
        """Kill it as it stands, and its guardian too if told; return the programs that were held."""
        self.process.send_signal(signal.SIGSTOP)
        processes = self.find_processes()
        programs = {number for pid in processes for number in read_programs(pid)}
        guardians = {pid for pid in processes if is_guardian(pid)}
        # It comes before the first filter: where there is one, so is its guardian.
        assert guardians or FILTER not in "".join(self.node.read_all())
        for pid in guardians if both else ():
            os.kill(pid, signal.SIGKILL)
        self.process.kill()
        assert self.process.wait(DEADLINE_S) == -signal.SIGKILL, self.log.read_text()
        return programs


def read_programs(pid: int) -> set[str]:
    """Return the ids of the programs that a process holds."""
    with suppress(OSError):
        told = [path.read_text() for path in Path(f"/proc/{pid}/fdinfo").iterdir()]
        return set(re.findall(r"^prog_id:\s*(\d+)$", "\n".join(told), re.MULTILINE))
    return set()


def is_guardian(pid: int) -> bool:
    with suppress(OSError):
        return b"node_probe.guardian" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def list_programs() -> set[str]:
    """Return the ids of all programs in the kernel."""
    return set(re.findall(r"^(\d+): ", run("bpftool", "prog", "show"), re.MULTILINE))


@contextmanager
def crowded(rng: random.Random) -> Iterator[CrowdedNode]:
    """Hold a node; everything of it is gone afterwards."""
    node = CrowdedNode(secrets.token_hex(3))
    try:
        node.furnish(rng)
        yield node
    finally:
        node.remove()


class Moments:
    """When to kill. The first probe is killed when it is ready, which tells how long a start takes here."""

    def __init__(self) -> None:
        self._start_s = 0.0

    def wait_for_one(self, rng: random.Random, node: CrowdedNode, probe: KilledProbe, *, clsact: bool) -> str:
        """Wait for the moment that the numbers say, and return its name."""
        begin = time.monotonic()
        if not self._start_s:
            probe.wait_until_ready()
            self._start_s = time.monotonic() - begin
            return "ready"
        if clsact and rng.random() < 0.5:
            changes = rng.randrange(1, MAX_CHANGES)
            with node.watch_tc() as watch:
                # Others make none meanwhile but for new devices, so some moments are later than meant.
                watch.settimeout(LATEST * self._start_s)
                with suppress(TimeoutError):
                    for _ in range(changes):
                        watch.recv(1 << 16)
            return f"after {changes} changes of qdiscs and filters"
        part = rng.random() * LATEST
        # Not for something to happen: the moment itself is what is drawn.
        time.sleep(part * self._start_s)
        return f"after {part:.2f} of a start"


@pytest.fixture(autouse=True)
def _needs() -> None:
    require_root()
    require_bcc()


def test_by_tcx_the_kernel_removes_all(tmp_path: Path) -> None:
    """Once the process is gone no device runs a program of ours; the programs end with whoever still held them."""
    if not find_tcx():
        return  # the other test is then about this kernel's own way
    moments = Moments()
    for seed in range(ROUNDS):
        with crowded(seed_chance(seed)) as node:
            live_and_die_by_tcx(node, moments, seed, tmp_path)


def live_and_die_by_tcx(node: CrowdedNode, moments: Moments, seed: int, directory: Path) -> None:
    """Run one probe on the node."""
    before, foreign = node.read_all(), node.count_tcx()
    with changing_devices(node, seed):
        probe = KilledProbe(node, directory)
        told = f"seed {seed}, killed {moments.wait_for_one(seed_chance(seed), node, probe, clsact=False)}"
        programs = probe.kill(both=False)
    assert node.count_tcx() == foreign, told
    assert node.read_all() == before, told
    expect_no_trace(probe, programs, told)


def test_by_clsact_guardian_or_clean_removes_all(tmp_path: Path) -> None:
    """The guardian removes filters and qdiscs by itself; where both were killed, the command does."""
    moments = Moments()
    times_s = []
    for seed in range(ROUNDS):
        with crowded(seed_chance(seed)) as node:
            times_s.append(live_and_die_by_clsact(node, moments, seed, tmp_path))
    print(f"the slowest guardian took {max(times_s):.2f} s")  # noqa: T201 - for whoever asks with -s


def live_and_die_by_clsact(node: CrowdedNode, moments: Moments, seed: int, directory: Path) -> float:
    """Run one probe on the node; return how many seconds its guardian took, 0 where that was killed."""
    before, foreign = node.read_all(), node.count_tcx()
    both = seed % 2 == 1
    with changing_devices(node, seed):
        probe = KilledProbe(node, directory, wrapper=WRAPPER)
        moment = moments.wait_for_one(seed_chance(seed), node, probe, clsact=True)
        told = f"seed {seed}, killed {moment}, {'with' if both else 'without'} its guardian"
        programs = probe.kill(both=both)
        begin = time.monotonic()
    if both:
        wait_until(lambda: not probe.find_processes(), f"the end of its children ({told})")
        clean()
    else:
        wait_until(lambda: node.read_all() == before, f"the state from before ({told})")
    took_s = 0.0 if both else time.monotonic() - begin
    assert node.read_all() == before, told
    assert node.count_tcx() == foreign, told
    expect_no_trace(probe, programs, told)
    return took_s


def expect_no_trace(probe: KilledProbe, programs: set[str], told: str) -> None:
    """Require that children and programs end; the compiler's child ends when it finds nobody to give them to."""
    wait_until(lambda: not probe.find_processes(), f"the end of its children ({told})")
    wait_until(lambda: not programs & list_programs(), f"the end of its programs ({told})")


def clean() -> None:
    """Run the command as a user does."""
    command = [sys.executable, "-m", "node_probe", "clean"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
