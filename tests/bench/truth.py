"""Compares our stamps with tcpdump's, of the same packet at the same device.

Ours are CLOCK_MONOTONIC, tcpdump's CLOCK_REALTIME: the offset is read tightly before and after, and lies on a line
between, since the wall clock may be slewed. The lawful difference has a sign: where a packet leaves we stamp before
the device's queue and tcpdump behind it, where it arrives tcpdump stamps first.
"""

import statistics
import time
from pathlib import Path
from typing import Any

from node_probe.kernel_record import RECORD_BYTES, decode_kernel_record
from node_probe.transit import Point
from testbed.errors import TestbedError
from testbed.topology import NODES
from tests.bench.capture_file import MessageKey, read_messages
from tests.bench.figures import percentile
from tests.bench.load import PORT, run_load
from tests.bench.variants import running_captures, running_readers

DEVICE_OF_POINT = (
    {Point.POD_EGRESS: 0, Point.VETH_INGRESS: 1, Point.OVERLAY_EGRESS: 2, Point.NIC_EGRESS: 3},
    {Point.NIC_INGRESS: 4, Point.OVERLAY_INGRESS: 5, Point.VETH_EGRESS: 6, Point.POD_INGRESS: 7},
)
"""For a request, by node: the place of the point's device in variants.DEVICES. A response goes the same way back."""

CONNECTIONS, PAUSE_MS = 8, 9
"""Some 800 exchanges a second: no queue anywhere, and captures that keep up."""

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


def measure_truth(work_dir: Path, seconds: int) -> dict[str, Any]:
    """Return percentiles of the absolute difference in us, and the signed ones by point."""
    options = [option.replace("{directory}", str(work_dir)) for option in _CAPTURE]
    first = read_offset()
    with running_readers(work_dir, keep=True), running_captures(work_dir, *options) as captures:
        run_load(work_dir, seconds, 100, connections=CONNECTIONS, pause_ms=PAUSE_MS)
    last = read_offset()
    if any(count["dropped"] for count in captures.counts):
        raise TestbedError("a capture lost packets")
    differences = pair_stamps(work_dir, first, last)
    every = [abs(value) for some in differences.values() for value in some]
    if len(every) < LEAST_PAIRS:
        raise TestbedError(f"only {len(every)} stamps found their packet in a capture")
    return {
        "us_p50": percentile(every, 0.5) / 1e3,
        "us_p99": percentile(every, 0.99) / 1e3,
        "pairs": len(every),
        "clock_slew_ns": last[1] - first[1],
        "signed_us_by_point": {
            point.label: {
                "p1": percentile(some, 0.01) / 1e3,
                "p50": statistics.median(some) / 1e3,
                "p99": percentile(some, 0.99) / 1e3,
            }
            for point, some in sorted(differences.items())
        },
    }


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
            for transit in decode_kernel_record(data[start : start + RECORD_BYTES]).transits:
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


def describe() -> dict[str, str]:
    """Return what the figures under `truth` are, for the report's notes."""
    return {
        "truth.us_p50": "|ours minus tcpdump's| over all points, a moderate load, tcpdump "
        "--time-stamp-precision=nano on each device",
        "truth.signed_us_by_point": "ours minus tcpdump's. Where a packet leaves, negative by right: we stamp before "
        "the device's queue, tcpdump behind it. Where it arrives, positive: tcpdump stamps first, and a first point "
        "stamps after its search",
    }
