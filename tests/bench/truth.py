"""Compares our stamps with tcpdump's, of the same packet at the same device.

Ours are CLOCK_MONOTONIC, tcpdump's CLOCK_REALTIME: the offset is read tightly before and after, and lies on a line
between, since the wall clock may be slewed. The lawful difference has a sign: where a packet leaves we stamp before
the device's queue and tcpdump behind it, where it arrives tcpdump stamps first.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node_probe.kernel_record import RECORD_BYTES, decode_kernel_record
from node_probe.transit import Point
from testbed.errors import TestbedError
from testbed.topology import NODES
from tests.bench.capture_file import MessageKey, read_messages
from tests.bench.figures import percentile, spread
from tests.bench.load import PORT, run_load
from tests.bench.variants import running_captures, running_readers

DEVICE_OF_POINT = (
    {Point.POD_EGRESS: 0, Point.VETH_INGRESS: 1, Point.OVERLAY_EGRESS: 2, Point.NIC_EGRESS: 3},
    {Point.NIC_INGRESS: 4, Point.OVERLAY_INGRESS: 5, Point.VETH_EGRESS: 6, Point.POD_INGRESS: 7},
)
"""For a request, by node: the place of the point's device in variants.DEVICES. A response goes the same way back."""


@dataclass(frozen=True)
class Rhythm:
    """How the load comes: what it does to caches and idle CPUs shows in the slowest stamps."""

    connections: int
    pause_ms: int
    seconds_share: float
    """Of the time of a round: a busy one gives a thousand stamps in a few milliseconds."""


QUIET = Rhythm(8, 9, 1.0)
"""Some 800 exchanges a second, which find caches cold and CPUs asleep: the harder case, and the common one."""

BUSY = Rhythm(4, 0, 0.25)
"""Tens of thousands a second, one after the other on each connection."""

LEAST_PAIRS = 500
_OFFSET_READINGS = 2000
_MIRRORED = len(Point) + 1
"""Point n of a request lies at the device of point 9 - n of the response."""

_CAPTURE = (
    "-w",
    "{directory}/{number}.pcap",
    "-s",
    "192",
    "-B",
    "16384",
    "--time-stamp-precision=nano",
    "tcp or udp",
)


def measure_truth(work_dir: Path, seconds: int, rounds: int) -> dict[str, Any]:
    """Return percentiles of the absolute difference in us, and the signed ones by point."""
    quiet = [compare_stamps(work_dir, QUIET, seconds) for _ in range(rounds)]
    busy = compare_stamps(work_dir, BUSY, seconds)
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
    options = [option.replace("{directory}", str(work_dir)) for option in _CAPTURE]
    duration = max(1, round(seconds * rhythm.seconds_share))
    first = read_offset()
    with running_readers(work_dir, keep=True), running_captures(work_dir, *options) as captures:
        run_load(work_dir, duration, 100, connections=rhythm.connections, pause_ms=rhythm.pause_ms)
    last = read_offset()
    if any(count["dropped"] for count in captures.counts):
        raise TestbedError("a capture lost packets")
    differences = pair_stamps(work_dir, first, last)
    if sum(map(len, differences.values())) < LEAST_PAIRS:
        raise TestbedError("too few stamps found their packet in a capture")
    return differences


def read_offset() -> tuple[int, int]:
    """Return CLOCK_MONOTONIC now, and CLOCK_REALTIME minus it, by the tightest of many readings."""
    readings = []
    for _ in range(_OFFSET_READINGS):
        before, real, after = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        readings.append((after - before, before, real - (before + after) // 2))
    _, now_ns, offset_ns = min(readings)
    return now_ns, offset_ns


def pair_stamps(work_dir: Path, first: tuple[int, int], last: tuple[int, int]) -> dict[Point, list[int]]:
    """Return by point how many ns our stamps are behind tcpdump's; a message sent twice is left out."""
    slope = (last[1] - first[1]) / (last[0] - first[0])
    captured = [read_capture(work_dir / f"{number}.pcap") for number in range(len(NODES) * 4)]
    differences: dict[Point, list[int]] = {point: [] for point in Point}
    for node, devices in zip(NODES, DEVICE_OF_POINT, strict=True):
        data = (work_dir / f"{node.name}.records").read_bytes()
        for start in range(0, len(data) - RECORD_BYTES + 1, RECORD_BYTES):
            transit = decode_kernel_record(data[start : start + RECORD_BYTES])
            if transit is None:
                continue
            key = MessageKey(transit.client_port, int(transit.direction), transit.seq)
            for stamp in transit.stamps:
                forward = stamp.point if not transit.direction else Point(_MIRRORED - stamp.point)
                theirs = captured[devices[forward]].get(key)
                if theirs is not None:
                    offset = first[1] + round(slope * (stamp.monotonic_ns - first[0]))
                    differences[stamp.point].append(stamp.monotonic_ns + offset - theirs)
    return {point: some for point, some in differences.items() if some}


def read_capture(path: Path) -> dict[MessageKey, int]:
    """Return the messages that were captured once."""
    times: dict[MessageKey, int] = {}
    repeated = set()
    for key, epoch_ns in read_messages(path.read_bytes(), PORT):
        if key in times:
            repeated.add(key)
        times[key] = epoch_ns
    return {key: epoch_ns for key, epoch_ns in times.items() if key not in repeated}


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
