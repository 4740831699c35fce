"""Compares our stamps with tcpdump's, of the same packet at the same device.

The lawful difference has a sign: where a packet leaves we stamp before
the device's queue and tcpdump behind it, where it arrives tcpdump stamps first.
"""

from pathlib import Path
from typing import Any

from node_probe.transit import Point
from testbed.errors import TestbedError
from testbed.load import Rhythm, run_load
from testbed.stamps import OffsetLine, capture_options, read_captured, read_offset, read_recorded
from testbed.variants import running_captures, running_readers
from tests.bench.figures import percentile, spread

QUIET = Rhythm(8, 9)
"""Some 800 exchanges a second, which find caches cold and CPUs asleep: the harder case, and the common one."""

BUSY = Rhythm(4)
"""Tens of thousands a second, one after the other on each connection."""

BUSY_SHARE = 0.25
"""Of the time of a round: a busy one gives a thousand stamps in a few milliseconds."""

LEAST_PAIRS = 500


def measure_truth(work_dir: Path, seconds: int, rounds: int) -> dict[str, Any]:
    """Return percentiles of the absolute difference in us, and the signed ones by point."""
    quiet = [compare_stamps(work_dir, QUIET, seconds) for _ in range(rounds)]
    busy = compare_stamps(work_dir, BUSY, max(1, round(seconds * BUSY_SHARE)))
    return {
        "us_p50": spread([_absolute(one, 0.5) for one in quiet]),
        "us_p99": spread([_absolute(one, 0.99) for one in quiet]),
        "us_p50_busy": _absolute(busy, 0.5),
        "us_p99_busy": _absolute(busy, 0.99),
        "pairs": sum(map(len, quiet[-1].values())),
        "signed_us_by_point": {
            point.label: {
                name: percentile(some, share) / 1e3 for name, share in (("p1", 0.01), ("p50", 0.5), ("p99", 0.99))
            }
            for point, some in sorted(quiet[-1].items())
        },
    }


def compare_stamps(work_dir: Path, rhythm: Rhythm, seconds: int) -> dict[Point, list[int]]:
    """Return by point how many ns our stamps are behind tcpdump's. Raises TestbedError."""
    first = read_offset()
    with running_readers(work_dir, keep=True), running_captures(work_dir, *capture_options(work_dir)) as captures:
        run_load(work_dir, seconds, 100, rhythm)
    last = read_offset()
    if any(count["dropped"] for count in captures.counts):
        raise TestbedError("a capture lost packets")
    differences = pair_stamps(work_dir, OffsetLine(first, last))
    if sum(map(len, differences.values())) < LEAST_PAIRS:
        raise TestbedError("too few stamps found their packet in a capture")
    return differences


def pair_stamps(work_dir: Path, line: OffsetLine) -> dict[Point, list[int]]:
    """Return by point how many ns our stamps are behind tcpdump's."""
    captured = read_captured(work_dir)
    differences: dict[Point, list[int]] = {point: [] for point in Point}
    for key, stamps in line.convert(read_recorded(work_dir)).items():
        theirs = captured.get(key, {})
        for point, epoch_ns in stamps.items():
            if point in theirs:
                differences[point].append(epoch_ns - theirs[point])
    return {point: some for point, some in differences.items() if some}


def _absolute(differences: dict[Point, list[int]], share: float) -> float:
    return percentile([abs(value) for some in differences.values() for value in some], share) / 1e3


def describe() -> dict[str, str]:
    """Return what the figures under `truth` are, for the report's notes."""
    return {
        "truth.us_p50": "|ours minus tcpdump's| over all points at some 800 exchanges a second, tcpdump "
        "--time-stamp-precision=nano on each device; _busy: at tens of thousands a second",
        "truth.signed_us_by_point": "ours minus tcpdump's. Where a packet leaves, negative by right: we stamp before "
        "the device's queue, tcpdump behind it. Where it arrives, positive: tcpdump stamps first (and copies the "
        "packet before we are asked), and a first point stamps after its search",
    }
