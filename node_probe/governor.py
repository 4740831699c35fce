"""Keeps the agent below its CPU ceiling: what was used is observed, and what is too much is let go before it costs.

Pure: `now_ns` is CLOCK_MONOTONIC and `cpu_ns` the CPU time of the whole process. Letting go is by trace: a hash of
the context decides, so a node keeps both directions of an exchange or neither. The hash is keyed: whoever chooses
trace ids cannot choose those that are kept.
"""

import hashlib
import struct

from node_probe.context import HUFFMAN
from node_probe.kernel_record import CONTEXT_FIELDS, CONTEXT_OFFSET, RECORD_FIELDS, offset_of

WINDOW_NS = 1_000_000_000
"""How long the use is averaged before the share is set anew: in less, a garbage collection would look like load."""

MIN_KEPT = 1 / 128
"""Some evidence of each flood remains, and the growth below is back at everything within ten windows."""

CALM = 0.9
"""Part of the ceiling below which the share grows: without a gap it would swing about the ceiling."""

MAX_GROWTH = 2.0
"""A window; the use after a flood says little about the next second."""


_TEXT = CONTEXT_OFFSET + offset_of(CONTEXT_FIELDS, "text")
_TRACE = slice(_TEXT, _TEXT + 35)
"""Of a traceparent: version, dash and trace id; of other formats the trace id and perhaps some of what follows."""

_CODED_TRACE = slice(_TEXT, _TEXT + 22)
"""In Huffman code the same takes 22 bytes where all digits have the shortest code, else these have fewer digits."""

_coding_at = CONTEXT_OFFSET + offset_of(CONTEXT_FIELDS, "coding")
_CODING = slice(_coding_at, _coding_at + 1)
_HUFFMAN = bytes([HUFFMAN])

_HASHES = 1 << 32

_read_ends = struct.Struct(f"={offset_of(RECORD_FIELDS, 'client_port')}xHH14x16s16s").unpack_from
"""Source port, destination port, source address, destination address of a burst."""


class Governor:
    """What part of the records is kept. Used by one thread; `kept_ratio` may be read by another."""

    def __init__(self, ceiling_cores: float = 0, key: bytes = b"") -> None:
        """Allow so many cores, 0: any number. `key` (up to 64 bytes) is to be unknown to senders of requests."""
        self.kept_ratio = 1.0
        self._ceiling = ceiling_cores
        self._key = key
        self._start: tuple[int, int] | None = None

    def observe(self, now_ns: int, cpu_ns: int) -> None:
        """Take what was used up to now. To be called more often than once a window; the first call begins one."""
        if self._start is None:
            self._start = now_ns, cpu_ns
        elapsed_ns = now_ns - self._start[0]
        if elapsed_ns < WINDOW_NS or not self._ceiling:
            return
        used = (cpu_ns - self._start[1]) / elapsed_ns
        self._start = now_ns, cpu_ns
        if used > self._ceiling:
            self.kept_ratio = max(MIN_KEPT, self.kept_ratio * self._ceiling / used)
        elif used < CALM * self._ceiling:
            growth = min(MAX_GROWTH, self._ceiling / used) if used else MAX_GROWTH
            self.kept_ratio = min(1.0, self.kept_ratio * growth)

    def select(self, records: list[bytes]) -> list[bytes]:
        """Return those of the kernel's records that are to be decoded."""
        if self.kept_ratio >= 1:
            return records
        threshold = int(self.kept_ratio * _HASHES)
        return [record for record in records if self._hash(record) < threshold]

    def select_bursts(self, records: list[bytes]) -> list[bytes]:
        """Return those of the kernel's records without a context that are to be kept: whole flows, both ways."""
        if self.kept_ratio >= 1:
            return records
        threshold = int(self.kept_ratio * _HASHES)
        return [record for record in records if self._hash_bytes(_join_ends(record)) < threshold]

    def _hash(self, record: bytes) -> int:
        trace = record[_CODED_TRACE if record[_CODING] == _HUFFMAN else _TRACE]
        return self._hash_bytes(trace)

    def _hash_bytes(self, data: bytes) -> int:
        return int.from_bytes(hashlib.blake2b(data, digest_size=4, key=self._key).digest(), "big")


def _join_ends(record: bytes) -> bytes:
    """Return what a flow's directions have in common: the same sums of ports and of addresses."""
    source_port, destination_port, source, destination = _read_ends(record)
    return b"%d %d" % (
        source_port + destination_port,
        int.from_bytes(source, "big") + int.from_bytes(destination, "big"),
    )
