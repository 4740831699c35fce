"""Reads the BPF ring buffer by mmap: file descriptor -> records. Without libbpf, so without LLVM in the agent.

Layout (kernel/bpf/ringbuf.c): one page with the consumer's position, one with the producer's, then the data, mapped
twice in a row so that a record never wraps. A record has a header of 8 bytes: length with two flag bits, page offset.
"""

import mmap
import platform
import struct

_BUSY = 1 << 31
_DISCARD = 1 << 30
_LENGTH = _DISCARD - 1
_HEADER_BYTES = 8

_position = struct.Struct("=Q")
_header = struct.Struct("=I")

ORDERED_MACHINES = frozenset({"x86_64"})
"""Where a load is not moved before an earlier load (x86-TSO), so the record is whole once its position is seen.

Python has no acquire load; on others, arm64 among them, the first bytes read could be older than the position.
"""


class RingReader:
    """The one consumer of a ring."""

    def __init__(self, fd: int, data_bytes: int) -> None:
        """Map the ring of `data_bytes` (a power of two of pages). Raises OSError."""
        if platform.machine() not in ORDERED_MACHINES:
            raise OSError(f"the ring cannot be read safely on {platform.machine()}, only on x86_64")
        page = mmap.PAGESIZE
        self._mask = data_bytes - 1
        self._data_offset = page
        self._consumer = mmap.mmap(fd, page, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=0)
        self._producer = mmap.mmap(fd, page + 2 * data_bytes, mmap.MAP_SHARED, mmap.PROT_READ, offset=page)

    def read(self, limit: int) -> list[bytes]:
        """Return up to `limit` records, oldest first, and free their room."""
        producer = self._producer
        mask = self._mask
        consumed = _position.unpack_from(self._consumer)[0]
        produced = _position.unpack_from(producer)[0]
        records: list[bytes] = []
        while consumed < produced and len(records) < limit:
            start = self._data_offset + (consumed & mask)
            header = _header.unpack_from(producer, start)[0]
            if header & _BUSY:
                break  # reserved on another CPU, not yet committed
            length = header & _LENGTH
            if not header & _DISCARD:
                records.append(producer[start + _HEADER_BYTES : start + _HEADER_BYTES + length])
            consumed += (length + _HEADER_BYTES + 7) & ~7
        _position.pack_into(self._consumer, 0, consumed)
        return records

    def fill_bytes(self) -> int:
        """Return how many bytes wait to be read."""
        filled: int = _position.unpack_from(self._producer)[0] - _position.unpack_from(self._consumer)[0]
        return filled

    def close(self) -> None:
        """Unmap the ring."""
        self._consumer.close()
        self._producer.close()
