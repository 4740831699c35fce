"""Runs the real programs on made-up packets with PROG_TEST_RUN, and reads what they left in maps and ring."""

import ctypes
import struct
from collections.abc import Mapping
from typing import NamedTuple

from node_probe.bpf import BpfMap, ProgramRun, possible_cpus, run_program
from node_probe.counters import KernelCounter, sum_over_cpus
from node_probe.kernel_record import RECORD_BYTES, decode_kernel_record
from node_probe.programs import MAPS, RING_BYTES
from node_probe.ring import RingReader
from node_probe.sweep import sweep_transits
from node_probe.tables import KEY_BYTES, SET_BYTES, SLOT_BYTES, transit_slots
from node_probe.transit import Transit

TC_ACT_UNSPEC = 0xFFFFFFFF
"""-1, as the unsigned return value shows it."""


CONTEXTS = "context_"
"""How the labels of the counters of contexts begin."""


class Run(NamedTuple):
    """What one run answered."""

    verdict: int
    packet: bytes
    duration_ns: int


class Harness:
    """The loaded programs, with their maps in a known state."""

    def __init__(self, fds: Mapping[str, int]) -> None:
        assert set(MAPS) <= set(fds)
        self._fds = dict(fds)
        self._tags = BpfMap(fds["transit_tags"], 4, SET_BYTES)
        self._transits = BpfMap(fds["transits"], 4, SLOT_BYTES)
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
        self.sweep()
        self._ring.read(1 << 20)
        self.forget_counts()

    def sweep(self) -> None:
        """Take out all transits under way, as if they were a second old."""
        sweep_transits(self._fds["sweep"], 0)

    def list_awaited(self) -> dict[int, int]:
        """Return the counters of packets that are waited for, as far as they are not 0."""
        awaited = BpfMap(self._fds["awaited"], 4, 4)
        counts = {struct.unpack("=I", key)[0]: struct.unpack("=I", value)[0] for key, value in awaited.items()}
        return {index: count for index, count in counts.items() if count}

    def forget_counts(self) -> None:
        """Let `counts` begin anew, and leave all else."""
        self._base = self._read_counters()

    def fd(self, name: str) -> int:
        """Return the fd of a program or map."""
        return self._fds[name]

    def map(self, name: str, value_bytes: int) -> BpfMap:
        """Return a map whose keys are indexes."""
        return BpfMap(self._fds[name], 4, value_bytes)

    def add(self, name: str, fd: int) -> None:
        """Add a program that prepares the run of another."""
        self._fds[name] = fd

    def close(self) -> None:
        """Let go of the ring; programs and maps stay the caller's."""
        self._ring.close()

    def list_transits(self) -> dict[int, bytes]:
        """Return the records of the transits under way, by their slots' indexes."""
        slots = {index: self._transits.lookup(struct.pack("=I", index)) or b"" for index in transit_slots(self._tags)}
        return {index: slot[KEY_BYTES : KEY_BYTES + RECORD_BYTES] for index, slot in slots.items()}

    def run(self, program: str, packet: bytes, repeat: int = 1) -> Run:
        """Run `program` on `packet` and return the verdict and the packet as it was left."""
        data = ctypes.create_string_buffer(packet, len(packet))
        out = ctypes.create_string_buffer(len(packet) + 256)
        attributes = ProgramRun(
            prog_fd=self._fds[program],
            data_size_in=len(packet),
            data_size_out=len(out),
            data_in=ctypes.addressof(data),
            data_out=ctypes.addressof(out),
            repeat=repeat,
        )
        run_program(attributes)
        return Run(attributes.retval, out.raw[: attributes.data_size_out], attributes.duration)

    def watch(self, program: str, packet: bytes) -> None:
        """Run `program`, and require that it only watched."""
        run = self.run(program, packet)
        assert run.verdict == TC_ACT_UNSPEC
        assert run.packet == packet

    def read_transits(self) -> list[Transit]:
        """Return what came by the ring since the last call, all of it valid and sampled."""
        transits = [decode_kernel_record(data) for data in self.read_ring()]
        sampled = [transit for transit in transits if transit is not None]
        assert len(sampled) == len(transits)
        return sampled

    def read_ring(self) -> list[bytes]:
        """Return the bytes of the records that came by the ring since the last call."""
        return self._ring.read(1 << 20)

    def read_parents(self) -> list[str]:
        """Return the parent ids of the transits that came by the ring since the last call, in hex."""
        return [transit.context.parent_id.hex() for transit in self.read_transits()]

    def counts(self) -> dict[str, int]:
        """Return what became of the messages: the counters that moved since `start_afresh`, without the contexts."""
        return {label: count for label, count in self._read_moved().items() if not label.startswith(CONTEXTS)}

    def count_contexts(self) -> dict[str, int]:
        """Return how many contexts of each format were read since `start_afresh`."""
        moved = self._read_moved().items()
        return {label.removeprefix(CONTEXTS): count for label, count in moved if label.startswith(CONTEXTS)}

    def _read_moved(self) -> dict[str, int]:
        now = self._read_counters()
        return {c.label: now[c] - self._base[c] for c in KernelCounter if now[c] != self._base[c]}

    def _read_counters(self) -> dict[KernelCounter, int]:
        return {c: sum_over_cpus(self._counters.lookup(struct.pack("=i", c)) or b"") for c in KernelCounter}
