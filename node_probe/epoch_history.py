"""The wall clock's offset in the last minutes: epoch times of a span -> the monotonic times that they may stand for.

Pure. CLOCK_REALTIME - CLOCK_MONOTONIC is constant but for steps, since slewing moves both. So each step begins a new
offset, known as well as the readings were; when it came is known to lie between two readings. Where more steps came
than the readings show, the offset of that time is unknown, and any epoch time may be of then.
"""

from collections import deque

import msgspec

KEEP_NS = 120 * 10**9
"""A claim is about the last minute, and what it names may have begun before."""

MAX_OFFSETS = 64
"""Steps remembered; of what was before them the offset is unknown."""

LATE_NS = 10**9
"""The kernel counts a step after it has come, when the thread that made it goes on: later than this it does not."""


class Span(msgspec.Struct, frozen=True, gc=False):
    """A monotonic interval, of which both ends are as far out as they may be."""

    start_ns: int
    end_ns: int


class EpochReading(msgspec.Struct, frozen=True, gc=False):
    """CLOCK_REALTIME - CLOCK_MONOTONIC as it was at some time between `start_ns` and `end_ns` (CLOCK_MONOTONIC)."""

    start_ns: int
    end_ns: int
    offset_ns: int
    error_ns: int
    """By how much the offset may be wrong."""
    sets_before: int
    """How often the wall clock had been set at `start_ns`, counted from any time."""
    sets_after: int


class _Offset:
    """Bounds of an offset, and the readings that had it."""

    __slots__ = ("first_ns", "high_ns", "last_ns", "low_ns")

    def __init__(self, reading: EpochReading) -> None:
        self.first_ns, self.last_ns = reading.end_ns, reading.start_ns
        self.low_ns = reading.offset_ns - reading.error_ns
        self.high_ns = reading.offset_ns + reading.error_ns

    def merge(self, other: "_Offset") -> bool:
        """Take a later reading of the same offset, which narrows it down; return False for that of another one."""
        if self.low_ns > other.high_ns or other.low_ns > self.high_ns:
            return False
        self.last_ns = other.last_ns
        self.low_ns, self.high_ns = max(self.low_ns, other.low_ns), min(self.high_ns, other.high_ns)
        return True


class EpochHistory:
    """The offsets of the last minutes. Used by one thread."""

    def __init__(self) -> None:
        """Begin without any: nothing is known before the first reading."""
        self._offsets: deque[_Offset] = deque()
        self._unknown: deque[Span] = deque()
        self._sets = 0

    def observe(self, reading: EpochReading) -> None:
        """Take a reading, later than all before."""
        sets, self._sets = reading.sets_after - self._sets, reading.sets_before
        read = _Offset(reading)
        if not self._offsets:
            self._offsets.append(read)
            return
        last_ns = self._offsets[-1].last_ns
        is_known = self._offsets[-1].merge(read)
        if not is_known:
            self._offsets.append(read)
        # A set that moved nothing, or another beside the one that shows: the clock may have been elsewhere between.
        if sets > (0 if is_known else 1):
            self._add_unknown(Span(last_ns - LATE_NS, reading.end_ns))
        self._forget(reading.start_ns - KEEP_NS)

    def _add_unknown(self, span: Span) -> None:
        if self._unknown and self._unknown[-1].end_ns >= span.start_ns:
            span = Span(min(self._unknown.pop().start_ns, span.start_ns), span.end_ns)
        self._unknown.append(span)

    def _forget(self, before_ns: int) -> None:
        while len(self._offsets) > 1 and self._offsets[1].first_ns < before_ns:
            self._offsets.popleft()
        if len(self._offsets) > MAX_OFFSETS:
            self._offsets.popleft()
            lost = Span(before_ns, self._offsets[0].first_ns)
            later = [span for span in self._unknown if span.end_ns > lost.end_ns]
            self._unknown = deque([lost, *later])
        while self._unknown and self._unknown[0].end_ns < before_ns:
            self._unknown.popleft()

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
        found = [(span.start_ns, span.end_ns) for span in self._unknown]
        before = None
        offsets = list(self._offsets)
        for number, offset in enumerate(offsets):
            after = offsets[number + 1] if number + 1 < len(offsets) else None
            low_ns, high_ns = epoch_ns - offset.high_ns, epoch_ns - offset.low_ns
            if (before is None or high_ns >= before.last_ns) and (after is None or low_ns <= after.first_ns):
                # When the step between two readings came is not known.
                if before is not None and low_ns < offset.first_ns:
                    low_ns, high_ns = min(low_ns, before.last_ns), max(high_ns, offset.first_ns)
                if after is not None and high_ns > offset.last_ns:
                    low_ns, high_ns = min(low_ns, offset.last_ns), max(high_ns, after.first_ns)
                found.append((low_ns, high_ns))
            before = offset
        return found
