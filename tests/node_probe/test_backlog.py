"""The backlog is bounded, oldest out first, and says how many had to go."""

import subprocess
import sys
import threading

import pytest

from node_probe.backlog import BATCH_BYTES, DEFAULT_MEMORY_MIB, Backlog
from node_probe.config import MIN_MEMORY_MIB
from node_probe.span_writer import SpanBatch
from tests.house.repository import ROOT
from tests.node_probe.batches import make_batch

ONE_BYTES = BATCH_BYTES + 1
DEADLINE_S = 20


def test_oldest_go_first_and_are_counted() -> None:
    """Beyond its bound the backlog drops the oldest batches, and returns how many transits they had."""
    backlog = Backlog(max_bytes=3 * ONE_BYTES)
    assert backlog.add([make_batch(n, count=10 + n) for n in range(3)]) == 0
    assert len(backlog) == 33
    assert backlog.add([make_batch(3), make_batch(4)]) == 10 + 11
    assert backlog.take(99) == [make_batch(2, count=12), make_batch(3), make_batch(4)]
    assert len(backlog) == 0


def test_bytes_are_bounded_too() -> None:
    """A batch counts with its bytes, so a few large ones displace many small ones; too large a one has no room."""
    backlog = Backlog(max_bytes=10 * ONE_BYTES)
    backlog.add([make_batch(n) for n in range(10)])
    assert backlog.add([SpanBatch(bytes(3 * ONE_BYTES), 3, frozenset())]) == 4
    assert backlog.add([SpanBatch(bytes(10 * ONE_BYTES), 7, frozenset())]) == 6 + 3 + 7


def test_take_is_limited() -> None:
    """A request takes the oldest batches that fit, one at least, and leaves the rest in order."""
    backlog = Backlog()
    backlog.add([make_batch(n, count=3) for n in range(5)])
    assert backlog.take(8) == [make_batch(0, count=3), make_batch(1, count=3)]
    assert backlog.take(1) == [make_batch(2, count=3)]
    assert len(backlog) == 6


def test_who_waits_is_woken() -> None:
    """The sender sleeps until there is something to send or it is woken to stop, and not again before it has it."""
    backlog = Backlog()
    for fill in (lambda: backlog.add([make_batch(1)]), backlog.end_waiting):
        waiting = threading.Thread(target=backlog.wait, daemon=True)
        waiting.start()
        assert waiting.is_alive()
        fill()
        waiting.join(DEADLINE_S)
        assert not waiting.is_alive()
        backlog.wait()
        backlog.take(1)


def test_the_end_is_told_to_who_is_about_to_take() -> None:
    """The sender that was woken by a batch and takes the last one after the end was told does not wait again."""
    backlog = Backlog()
    backlog.add([make_batch(1)])
    backlog.wait()
    backlog.end_waiting()
    backlog.take(1)
    waiting = threading.Thread(target=backlog.wait, daemon=True)
    waiting.start()
    waiting.join(DEADLINE_S)
    assert not waiting.is_alive()


FILL = """
import os, sys
import node_probe.__main__  # whatever the agent imports
from node_probe.agent import BATCH_RECORDS, READ_LIMIT
from node_probe.backlog import Backlog, fit_bytes
from node_probe.span_writer import SpanWriter
from tests.golden_files import read_story
record, _ = read_story("records", "request_at_four_points")
size = int(sys.argv[2])
backlog = Backlog(fit_bytes(int(sys.argv[1])))
writer = SpanWriter("node-1")
dropped = 0
while not dropped:
    # Bytes of its own for every field that holds some, as records of the ring have.
    round = [record[:12] + os.urandom(8) + record[20:24] + os.urandom(64) + record[88:] for _ in range(READ_LIMIT)]
    written = [writer.write(round[start : start + size], 10**18) for start in range(0, READ_LIMIT, size)]
    dropped += backlog.add([one.batch for one in written])
(line,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(len(backlog), int(line.split()[1]) / 1024)
"""


@pytest.mark.parametrize("batch_records", [1, 500])
@pytest.mark.parametrize(("memory_mib", "least"), [(MIN_MEMORY_MIB, 10_000), (DEFAULT_MEMORY_MIB, 50_000)])
def test_memory_ceiling(memory_mib: int, least: int, batch_records: int) -> None:
    """A full backlog, with all that the agent imports and a round being written, stays below the ceiling."""
    command = [sys.executable, "-c", FILL, str(memory_mib), str(batch_records)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    transits, peak_mib = (float(word) for word in done.stdout.split())
    assert transits > least
    assert peak_mib < memory_mib
