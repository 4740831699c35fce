"""The wall clock's offset in the last minutes: epoch times of a span -> the monotonic times that they may stand for.

Pure. CLOCK_REALTIME - CLOCK_MONOTONIC is constant but for steps, since slewing moves both. So each step begins a new
offset, known as well as the readings were; when it came is known to lie between two readings.
"""

from collections import deque

import msgspec

KEEP_NS = 120 * 10**9
"""A claim is about the last minute, and what it names may have begun before."""

MAX_OFFSETS = 64
"""Steps remembered; a clock that is stepped more often names no time."""


class _Offset:
    """Bounds of an offset, and the readings that had it."""

    __slots__ = ("first_ns", "high_ns", "last_ns", "low_ns")

    def __init__(self, now_ns: int, low_ns: int, high_ns: int) -> None:
        self.first_ns = self.last_ns = now_ns
        self.low_ns = low_ns
        self.high_ns = high_ns


class Span(msgspec.Struct, frozen=True, gc=False):
    """A monotonic interval, of which both ends are as far out as they may be."""

    start_ns: int
    end_ns: int


class EpochHistory:
    """The offsets of the last minutes. Used by one thread."""

    def __init__(self) -> None:
        """Begin without any: nothing is known before the first reading."""
        self._offsets: deque[_Offset] = deque(maxlen=MAX_OFFSETS)

    def observe(self, now_ns: int, offset_ns: int, error_ns: int) -> None:
        """Take a reading of the offset, which is right but for `error_ns`."""
        low_ns, high_ns = offset_ns - error_ns, offset_ns + error_ns
        newest = self._offsets[-1] if self._offsets else None
        if newest is None or low_ns > newest.high_ns or high_ns < newest.low_ns:
            self._offsets.append(_Offset(now_ns, low_ns, high_ns))
        else:
            newest.last_ns = now_ns
            newest.low_ns, newest.high_ns = max(newest.low_ns, low_ns), min(newest.high_ns, high_ns)
        while len(self._offsets) > 1 and self._offsets[1].first_ns < now_ns - KEEP_NS:
            self._offsets.popleft()

    def place(self, start_ns: int, end_ns: int) -> Span | None:
        """Return what an interval of the wall clock may stand for, with all that a step leaves open within.

        None where no offset that is remembered fits.
        """
        starts, ends = self._list_times(start_ns), self._list_times(end_ns)
        if not starts or not ends:
            return None
        first_ns, last_ns = min(low for low, _ in starts), max(high for _, high in ends)
        return Span(first_ns, last_ns) if first_ns <= last_ns else None

    def _list_times(self, epoch_ns: int) -> list[tuple[int, int]]:
        """Return the bounds of the monotonic times at which the wall clock may have shown a time."""
        found = []
        before = None
        offsets = list(self._offsets)
        for number, offset in enumerate(offsets):
            after = offsets[number + 1] if number + 1 < len(offsets) else None
            low_ns, high_ns = epoch_ns - offset.high_ns, epoch_ns - offset.low_ns
            if (before is None or high_ns >= before.last_ns) and (after is None or low_ns <= after.first_ns):
                # Between two readings any other offset may have been there as well, for a moment.
                if before is not None and low_ns < offset.first_ns:
                    low_ns, high_ns = min(low_ns, before.last_ns), max(high_ns, offset.first_ns)
                if after is not None and high_ns > offset.last_ns:
                    low_ns, high_ns = min(low_ns, offset.last_ns), max(high_ns, after.first_ns)
                found.append((low_ns, high_ns))
            before = offset
        return found
