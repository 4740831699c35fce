"""When the node lost records: until such a time is over, a burst that is not there tells nothing.

Pure; times are CLOCK_MONOTONIC.
"""

from collections import deque

LATE_NS = 1_500_000_000
"""How long after its first stamp a packet's record may come: what meets no last point is swept out after 1.25 s."""

KEEP_NS = 120 * 10**9
MAX_PERIODS = 256
"""Remembered at once, the newest; nothing is known of the time before them."""


class LossHistory:
    """The times at which records were lost. Used by one thread."""

    def __init__(self) -> None:
        """Begin: nothing is known of the time before the first count."""
        self._periods: deque[tuple[int, int]] = deque()
        self._begin_ns: int | None = None
        self._read_ns = 0
        self._total = 0

    def observe(self, read_ns: int, now_ns: int, total: int) -> None:
        """Take the count of all losses up to now; at `read_ns` or later all was read that the ring had."""
        if self._begin_ns is None:
            self._begin_ns = now_ns
        elif total != self._total:
            self._add(self._read_ns - LATE_NS, now_ns)
        self._read_ns, self._total = read_ns, total
        while self._periods and self._periods[0][1] < now_ns - KEEP_NS:
            self._periods.popleft()

    def is_whole(self, start_ns: int, end_ns: int) -> bool:
        """Return whether all records are here of the packets first stamped between both times."""
        if self._begin_ns is None or start_ns < self._begin_ns or end_ns + LATE_NS > self._read_ns:
            return False
        return all(lost_end_ns < start_ns or lost_start_ns > end_ns for lost_start_ns, lost_end_ns in self._periods)

    def _add(self, start_ns: int, end_ns: int) -> None:
        if self._periods and start_ns <= self._periods[-1][1]:
            start_ns, _ = self._periods.pop()
        self._periods.append((start_ns, end_ns))
        if len(self._periods) > MAX_PERIODS:
            self._begin_ns = self._periods.popleft()[1]
