"""Reads the BPF ring buffer by mmap: file descriptor -> records. Without libbpf, so without LLVM in the agent.

Layout (kernel/bpf/ringbuf.c): one page with the consumer's position, one with the producer's, then the data twice
in a row, so that no record wraps. A record has a header of 8 bytes: length with two flag bits, page offset.
"""

import mmap
import platform

_BUSY = 1 << 31
_DISCARD = 1 << 30
_LENGTH = _DISCARD - 1
_HEADER_BYTES = 8
_WORD_BYTES = 4

_FIRST_RUN = 16
"""Headers looked at together at first; then twice as many as were found alike."""

ORDERED_MACHINES = frozenset({"x86_64"})
"""Where a load is not moved before an earlier load (x86-TSO), so the record is whole once its position is seen.

Python has no acquire load; on others, arm64 among them, the first bytes read could be older than the position.
"""


class RingReader:
    """The one consumer of a ring."""

    def __init__(self, fd: int, data_bytes: int) -> None:
        """Map the positions of the ring of `data_bytes` (a power of two of pages), whose `fd` stays the caller's.

        Raises OSError.
        """
        if platform.machine() not in ORDERED_MACHINES:
            raise OSError(f"the ring cannot be read safely on {platform.machine()}, only on x86_64")
        page = mmap.PAGESIZE
        self._fd = fd
        self._mask = data_bytes - 1
        self._pages = (
            mmap.mmap(fd, page, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=0),
            mmap.mmap(fd, page, mmap.MAP_SHARED, mmap.PROT_READ, offset=page),
        )
        # A view stores a number by one instruction. struct.pack_into writes zeros first: a producer that reads them
        # takes the ring for full.
        self._consumed, self._produced = (memoryview(found).cast("Q") for found in self._pages)

    def read(self, limit: int) -> list[bytes]:
        """Return up to `limit` records, oldest first, and free their room. Raises OSError."""
        consumed = self._consumed[0]
        filled = self._produced[0] - consumed
        if not filled:
            return []
        # The data is mapped while it is read, some 10 us: else all of the ring, twice, would count as our memory.
        page = mmap.PAGESIZE
        start = consumed & self._mask
        in_page = start % page
        with mmap.mmap(
            self._fd, in_page + filled, mmap.MAP_SHARED, mmap.PROT_READ, offset=2 * page + start - in_page
        ) as data:
            records, end = _read_records(data, in_page, limit)
        self._consumed[0] = consumed + end - in_page
        return records

    def fill_bytes(self) -> int:
        """Return how many bytes wait to be read."""
        return self._produced[0] - self._consumed[0]

    def close(self) -> None:
        """Unmap the ring."""
        for view in (self._consumed, self._produced):
            view.release()
        for pages in self._pages:
            pages.close()


def _read_records(data: mmap.mmap, start: int, limit: int) -> tuple[list[bytes], int]:
    """Return up to `limit` records of those between `start` and the end, and where the first unread one begins."""
    records: list[bytes] = []
    wanted_run = _FIRST_RUN
    with memoryview(data).cast("I") as words:
        while start < len(data) and len(records) < limit:
            header = words[start // _WORD_BYTES]
            if header & _BUSY:
                break  # reserved on another CPU, not yet committed
            length = header & _LENGTH
            step = (length + _HEADER_BYTES + 7) & ~7
            run = 1
            if not header & _DISCARD:
                most = min(wanted_run, limit - len(records), (len(data) - start) // step)
                run = _count_alike(words[start // _WORD_BYTES :: step // _WORD_BYTES][:most].tolist())
                first = start + _HEADER_BYTES
                records += [data[at : at + length] for at in range(first, first + run * step, step)]
                wanted_run = 2 * run
            start += run * step
    return records, start


def _count_alike(headers: list[int]) -> int:
    """Return how many of the headers, from the first on, are as the first.

    All records tend to have one length: then their headers lie at one distance, and reading them together costs a
    fifth. Where one differs, what was read behind it is no header, and counts for nothing.
    """
    alike = headers.count(headers[0]) == len(headers)
    return len(headers) if alike else next(n for n, header in enumerate(headers) if header != headers[0])
