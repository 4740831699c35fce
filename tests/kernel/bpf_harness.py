"""Runs the real programs on made-up packets with PROG_TEST_RUN, and reads what they left in maps and ring."""

import ctypes
import struct
from collections.abc import Mapping
from typing import NamedTuple

from node_probe.bpf import BpfMap, call_bpf, possible_cpus
from node_probe.counters import KernelCounter, sum_over_cpus
from node_probe.kernel_record import RECORD_BYTES, KernelRecord, decode_kernel_record
from node_probe.programs import MAPS, RING_BYTES
from node_probe.ring import RingReader

_PROG_TEST_RUN = 10
TC_ACT_UNSPEC = 0xFFFFFFFF
"""-1, as the unsigned return value shows it."""


class _TestRun(ctypes.Structure):
    _fields_ = (
        ("prog_fd", ctypes.c_uint32),
        ("retval", ctypes.c_uint32),
        ("data_size_in", ctypes.c_uint32),
        ("data_size_out", ctypes.c_uint32),
        ("data_in", ctypes.c_uint64),
        ("data_out", ctypes.c_uint64),
        ("repeat", ctypes.c_uint32),
        ("duration", ctypes.c_uint32),
        ("ctx_size_in", ctypes.c_uint32),
        ("ctx_size_out", ctypes.c_uint32),
        ("ctx_in", ctypes.c_uint64),
        ("ctx_out", ctypes.c_uint64),
        ("flags", ctypes.c_uint32),
        ("cpu", ctypes.c_uint32),
        ("batch_size", ctypes.c_uint32),
        ("pad", ctypes.c_uint32),
    )


class Run(NamedTuple):
    """What one run answered."""

    verdict: int
    packet: bytes
    duration_ns: int


class Harness:
    """The loaded programs, with their maps in a known state."""

    def __init__(self, fds: Mapping[str, int]) -> None:
        assert set(MAPS) <= set(fds)
        self._fds = fds
        self.transits = BpfMap(fds["transits"], 16, RECORD_BYTES)
        self.settings = BpfMap(fds["settings"], 4, 16)
        self._counters = BpfMap(fds["counters"], 4, 8 * possible_cpus())
        self._ring = RingReader(fds["ring"], RING_BYTES)
        self._base: dict[KernelCounter, int] = {}
        self.configure()
        self.start_afresh()

    def configure(self, *ports: int, rate_limit: int = 0) -> None:
        """Set the tunnel ports (default 8472) and the rate limit."""
        packed = struct.pack("!4H", *[*(ports or (8472,)), 0, 0, 0, 0][:4])
        self.settings.update(bytes(4), packed + struct.pack("=II", rate_limit, 0))

    def start_afresh(self) -> None:
        """Forget transits, records and counts; exchanges stay, so a test uses a port of its own."""
        for key, _ in list(self.transits.items()):
            self.transits.take(key)
        self._ring.read(1 << 20)
        self._base = self._read_counters()

    def run(self, program: str, packet: bytes, repeat: int = 1) -> Run:
        """Run `program` on `packet` and return the verdict and the packet as it was left."""
        data = ctypes.create_string_buffer(packet, len(packet))
        out = ctypes.create_string_buffer(len(packet) + 256)
        attributes = _TestRun(
            prog_fd=self._fds[program],
            data_size_in=len(packet),
            data_size_out=len(out),
            data_in=ctypes.addressof(data),
            data_out=ctypes.addressof(out),
            repeat=repeat,
        )
        call_bpf(_PROG_TEST_RUN, attributes)
        return Run(attributes.retval, out.raw[: attributes.data_size_out], attributes.duration)

    def watch(self, program: str, packet: bytes) -> None:
        """Run `program`, and require that it only watched."""
        run = self.run(program, packet)
        assert run.verdict == TC_ACT_UNSPEC
        assert run.packet == packet

    def read_records(self) -> list[KernelRecord]:
        """Return what came by the ring since the last call."""
        return [decode_kernel_record(data) for data in self._ring.read(1 << 20)]

    def counts(self) -> dict[str, int]:
        """Return the counters that moved since `start_afresh`."""
        now = self._read_counters()
        return {c.label: now[c] - self._base[c] for c in KernelCounter if now[c] != self._base[c]}

    def _read_counters(self) -> dict[KernelCounter, int]:
        return {c: sum_over_cpus(self._counters.lookup(struct.pack("=i", c)) or b"") for c in KernelCounter}
