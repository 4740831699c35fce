"""What the allocator keeps and gives back, as the system counts it: in a process that has nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

from collector_plugin.allocator import KEPT_BYTES

ROOT = Path(__file__).parents[2]
PAGE_BYTES = 4096

TAKE_AND_GIVE = """
import resource, sys
from collector_plugin.allocator import keep_large_blocks_apart

def count_faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def count_resident():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1])

if not keep_large_blocks_apart():
    sys.exit("no mallopt")
count, size = int(sys.argv[1]), 60_000
before = count_resident()
blocks = [bytes(size) for _ in range(count)]
blocks.clear()
faults = count_faults()
for _ in range(20):
    blocks = [bytes(size) for _ in range(count)]
    blocks.clear()
print((count_faults() - faults) / 20, count_resident() - before)
"""


def take_and_give(count: int) -> tuple[float, int]:
    """Return how many pages a turn that fills and frees `count` requests takes anew, and how many are kept."""
    command = [sys.executable, "-c", TAKE_AND_GIVE, str(count)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.stderr.strip() == "no mallopt":
        pytest.skip("the C library has no mallopt")
    assert done.returncode == 0, done.stderr
    faults, kept = done.stdout.split()
    return float(faults), int(kept)


def test_what_a_tick_brings_is_not_taken_anew_each_time() -> None:
    """Of forty requests of 60 KB not one page in ten is given back in between: each would be a fault."""
    faults, _ = take_and_give(40)
    assert faults < 40 * 60_000 / PAGE_BYTES / 10


def test_what_a_flood_brought_is_given_back() -> None:
    """After 60 MB in small blocks an arena keeps what it may and little more, and the system has the rest."""
    _, kept = take_and_give(1000)
    assert kept * PAGE_BYTES <= 4 * KEPT_BYTES
