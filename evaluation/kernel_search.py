"""Times the kernel's search for the context, by PROG_TEST_RUN of the real first point on made-up requests.

What counts is a run of the first point net of an empty program's, by turns; of a header block of several segments the
sum over its segments. That each request was found, in its last segment at the latest, is checked by the programs' own
counters. Edge: loads programs.
"""

import ctypes
import os
import statistics
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from random import Random

from evaluation.estimates import alternate, estimate_growth
from evaluation.header_blocks import make_block
from evaluation.results_relocation import SearchCost
from node_probe.bpf import BpfMap, ProgramRun, load_idle_program, possible_cpus, run_program
from node_probe.counters import KernelCounter, sum_over_cpus
from node_probe.errors import ProbeError
from node_probe.programs import SWEEP, load_programs
from node_probe.sweep import sweep_transits
from testbed.errors import TestbedError

SIZES_BYTES = (200, 400, 800, 1398, 2000, 4000, 8192)
SEGMENT_BYTES = 1398
"""What a packet of a pod has room for: VXLAN's MTU of 1450 less the headers of IPv4 and TCP with timestamps."""

_POINT = "pod_egress"
_UNREACHED_RATE = 1 << 30
"""Transits a second: without a limit the program would be spared the look-up that nodes pay for."""

_CLIENT, _SERVER = bytes((10, 244, 1, 10)), bytes((10, 96, 0, 20))
_SERVER_PORT = 80
_FIRST_PORT = 10_000


def measure_search(rounds: int, requests: int) -> tuple[SearchCost, ...]:
    """Time in each round so many requests of each size and place, by turns. Raises TestbedError."""
    with _loaded_programs() as fds:
        point = _Point(fds)
        return tuple(_judge(size, [point.time_pair(size, requests) for _ in range(rounds)]) for size in SIZES_BYTES)


def _judge(size: int, pairs: Sequence[tuple[float, float]]) -> SearchCost:
    head_ns, end_ns = (statistics.median(times) for times in zip(*pairs, strict=True))
    chance = Random(size)  # noqa: S311 - the same rounds give the same bounds
    return SearchCost(size, -(-size // SEGMENT_BYTES), head_ns, end_ns, estimate_growth(pairs, chance))


@contextmanager
def _loaded_programs() -> Iterator[Mapping[str, int]]:
    try:
        fds = {**load_programs(), "empty": load_idle_program()}
    except ProbeError as error:
        raise TestbedError(f"the kernel programs: {error}") from error
    try:
        yield fds
    finally:
        for fd in fds.values():
            os.close(fd)


class _Point:
    """The first point and the empty program, with what the first keeps in maps."""

    def __init__(self, fds: Mapping[str, int]) -> None:
        self._fds = fds
        self._counters = BpfMap(fds["counters"], 4, 8 * possible_cpus())
        self._requests = 0
        settings = BpfMap(fds["settings"], 4, 16)
        settings.update(bytes(4), struct.pack("!4H", 8472, 0, 0, 0) + struct.pack("=II", _UNREACHED_RATE, 0))

    def time_pair(self, size: int, requests: int) -> tuple[float, float]:
        """Return the median times in ns with the context at the head and at the end of the header block."""
        before = self._count_found()
        times: dict[bool, list[int]] = {True: [], False: []}
        for number in range(requests):
            for at_head in alternate(number):
                times[at_head].append(self._time_request(make_block(size, number, at_head=at_head)))
        sweep_transits(self._fds[SWEEP], 0)
        found = self._count_found() - before
        if found != 2 * requests:
            raise TestbedError(f"the kernel found {found} of {2 * requests} contexts in blocks of {size} bytes")
        return statistics.median(times[True]), statistics.median(times[False])

    def _time_request(self, block: bytes) -> int:
        self._requests += 1
        seq, total_ns = self._requests * 10_000, 0
        for start in range(0, len(block), SEGMENT_BYTES):
            frame = render_frame(block[start : start + SEGMENT_BYTES], seq + start, self._requests)
            empty_ns, full_ns = (_run(self._fds[name], frame) for name in ("empty", _POINT))
            total_ns += full_ns - empty_ns
        return total_ns

    def _count_found(self) -> int:
        return sum_over_cpus(self._counters.lookup(struct.pack("=i", KernelCounter.TRANSITS_STARTED)) or b"")


def render_frame(payload: bytes, seq: int, request: int) -> bytes:
    """Return the frame of a segment of a request: Ethernet, IPv4, TCP with timestamps; checksums are left 0."""
    options = b"\x01\x01\x08\x0a" + struct.pack("!II", request, 1)
    ports = (_FIRST_PORT + request % 50_000, _SERVER_PORT)
    tcp = struct.pack("!HHIIBBHHH", *ports, seq % 2**32, request, 8 << 4, 0x18, 500, 0, 0) + options + payload
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0, _CLIENT, _SERVER)
    return b"\x02\0\0\0\0\2\x02\0\0\0\0\1\x08\0" + head + tcp


def _run(fd: int, frame: bytes) -> int:
    data = ctypes.create_string_buffer(frame, len(frame))
    run = ProgramRun(prog_fd=fd, data_size_in=len(frame), data_in=ctypes.addressof(data), repeat=1)
    run_program(run)
    return int(run.duration)
