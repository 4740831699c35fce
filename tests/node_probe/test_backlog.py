"""The backlog is bounded, oldest out first, and says how many had to go."""

import subprocess
import sys

import pytest

from node_probe.backlog import DEFAULT_MEMORY_MIB, Backlog, fit_transits
from node_probe.config import MIN_MEMORY_MIB
from tests.house.repository import ROOT
from tests.node_probe.transits import vary


def test_oldest_go_first_and_are_counted() -> None:
    """Beyond its bound the backlog drops the oldest, and returns how many."""
    backlog = Backlog(max_transits=3)
    assert backlog.add([vary(seq=n) for n in range(2)]) == 0
    assert backlog.add([vary(seq=n) for n in range(2, 5)]) == 2
    assert [t.seq for t in backlog.take(9)] == [2, 3, 4]
    assert len(backlog) == 0


def test_take_is_limited() -> None:
    """A batch takes the oldest, and leaves the rest in order."""
    backlog = Backlog()
    backlog.add([vary(seq=n) for n in range(5)])
    assert [t.seq for t in backlog.take(2)] == [0, 1]
    assert [t.seq for t in backlog.take(2)] == [2, 3]
    assert len(backlog) == 1


FILL = """
import os, sys
import node_probe.__main__  # whatever the agent imports
from node_probe.backlog import Backlog, fit_transits
from node_probe.kernel_record import decode_kernel_record
from tests.golden_files import read_story
record, _ = read_story("records", "request_at_four_points")
backlog = Backlog(fit_transits(int(sys.argv[1])))
dropped = 0
while not dropped:
    for _ in range(5):
        # Bytes of its own for every field that holds some, as records of the ring have.
        batch = [record[:12] + os.urandom(8) + record[20:24] + os.urandom(64) + record[88:] for _ in range(1000)]
        dropped += backlog.add([t for data in batch for t in decode_kernel_record(data).transits])
(line,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(len(backlog), int(line.split()[1]) // 1024)
"""


@pytest.mark.parametrize("memory_mib", [MIN_MEMORY_MIB, DEFAULT_MEMORY_MIB])
def test_memory_ceiling(memory_mib: int) -> None:
    """A full backlog, with all that the agent imports and a batch that is being decoded, stays below the ceiling."""
    command = [sys.executable, "-c", FILL, str(memory_mib)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    transits, peak_mib = (int(word) for word in done.stdout.split())
    assert transits == fit_transits(memory_mib) > 3000
    assert peak_mib < memory_mib
