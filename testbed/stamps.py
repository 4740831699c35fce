"""When each message of a load met each point, by hopspan's records and by tcpdump's files of the same packets.

hopspan's stamps are CLOCK_MONOTONIC, tcpdump's CLOCK_REALTIME: the offset is read tightly before and after, and lies
on a line between, since the wall clock may be slewed.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from node_probe.kernel_record import RECORD_BYTES, decode_kernel_record
from node_probe.transit import Direction, Point
from testbed.capture_file import MessageKey, read_messages
from testbed.load import PORT
from testbed.topology import NODES

POINT_OF_DEVICE = (
    Point.POD_EGRESS,
    Point.VETH_INGRESS,
    Point.OVERLAY_EGRESS,
    Point.NIC_EGRESS,
    Point.NIC_INGRESS,
    Point.OVERLAY_INGRESS,
    Point.VETH_EGRESS,
    Point.POD_INGRESS,
)
"""Of a request, at the devices in the order of variants.DEVICES. A response goes the same way back."""

CAPTURE_OPTIONS = (
    "-w",
    "{directory}/{number}.pcap",
    "-s",
    "192",
    "-B",
    "16384",
    "--time-stamp-precision=nano",
    "tcp or udp",
)
"""Of tcpdump, for `running_captures`; `{directory}` is to be replaced."""

_OFFSET_READINGS = 2000
_MIRRORED = len(Point) + 1
"""Point n of a request lies at the device of point 9 - n of the response."""

Stamps = Mapping[MessageKey, Mapping[Point, int]]
"""By message and point, in ns. A message that met a point twice has no stamp of it."""


class Offset(NamedTuple):
    """How far the wall clock was from the monotonic one, at a time."""

    monotonic_ns: int
    offset_ns: int
    """CLOCK_REALTIME less CLOCK_MONOTONIC."""


class OffsetLine:
    """The offset at all times near two readings of it."""

    def __init__(self, first: Offset, last: Offset) -> None:
        self._first, self._last = first, last
        self._slope = (last.offset_ns - first.offset_ns) / (last.monotonic_ns - first.monotonic_ns)

    def to_epoch(self, monotonic_ns: int) -> int:
        """Return the epoch time at a monotonic one."""
        return monotonic_ns + self._first.offset_ns + round(self._slope * (monotonic_ns - self._first.monotonic_ns))

    def convert(self, stamps: Stamps) -> Stamps:
        """Return the monotonic stamps of messages that passed between the two readings, as epoch times."""
        first_ns, last_ns = self._first.monotonic_ns, self._last.monotonic_ns
        return {
            key: {point: self.to_epoch(ns) for point, ns in met.items()}
            for key, met in stamps.items()
            if all(first_ns <= ns <= last_ns for ns in met.values())
        }


def capture_options(work_dir: Path) -> list[str]:
    """Return what makes tcpdump write the files that `read_captured` reads."""
    return [option.replace("{directory}", str(work_dir)) for option in CAPTURE_OPTIONS]


def read_offset() -> Offset:
    """Return the offset now, by the tightest of many readings."""
    readings = []
    for _ in range(_OFFSET_READINGS):
        before, real, after = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        readings.append((after - before, before, real - (before + after) // 2))
    _, now_ns, offset_ns = min(readings)
    return Offset(now_ns, offset_ns)


def read_recorded(work_dir: Path) -> Stamps:
    """Return the monotonic stamps in the records that `running_readers` kept."""
    table = _Table()
    for node in NODES:
        data = (work_dir / f"{node.name}.records").read_bytes()
        for start in range(0, len(data) - RECORD_BYTES + 1, RECORD_BYTES):
            transit = decode_kernel_record(data[start : start + RECORD_BYTES])
            if transit is None:
                continue
            key = MessageKey(transit.client_port, int(transit.direction), transit.seq)
            for stamp in transit.stamps:
                table.add(key, stamp.point, stamp.monotonic_ns)
    return table.list_single()


def read_captured(work_dir: Path) -> Stamps:
    """Return the epoch stamps in the files that tcpdump wrote with `capture_options`."""
    table = _Table()
    for number, point in enumerate(POINT_OF_DEVICE):
        for key, epoch_ns in read_messages((work_dir / f"{number}.pcap").read_bytes(), PORT):
            met = point if key.direction == Direction.REQUEST else Point(_MIRRORED - point)
            table.add(key, met, epoch_ns)
    return table.list_single()


class _Table:
    def __init__(self) -> None:
        self._stamps: dict[MessageKey, dict[Point, int]] = {}
        self._repeated = set[tuple[MessageKey, Point]]()

    def add(self, key: MessageKey, point: Point, stamp_ns: int) -> None:
        stamps = self._stamps.setdefault(key, {})
        if point in stamps:
            self._repeated.add((key, point))
        stamps[point] = stamp_ns

    def list_single(self) -> Stamps:
        for key, point in self._repeated:
            del self._stamps[key][point]
        return self._stamps
