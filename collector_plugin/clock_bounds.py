"""What the messages of one direction say of the difference between two clocks: an upper bound at any moment.

Pure. A packet cannot arrive before it left, so each message bounds the difference at its own time; and as clocks
drift apart by a known rate at most, it bounds it at any other time too, by so much more as may have come between.
"""

import bisect
from array import array

import msgspec

DRIFT_DIVISOR = 9_900
"""Clocks drift apart by at most a 9,900th of the time, 101 ppm: the design's 100 ppm, and a hundredth of that since
the time is told by a clock which drifts itself."""

MAX_AGE_NS = 1_000 * 10**9
"""How far from its own time a message still bounds anything: longer than any `window`. The drift is 0.1 s then."""

CELL_NS = 10**8
"""Of the messages in a cell the best is kept: the others would lower a bound by 10 us at most, a cell's drift."""

MAX_KEPT = 256
"""Messages kept, 4 KiB: all that were worth it in the last 13 s at least, and ever fewer of a minute."""


class Bound(msgspec.Struct, frozen=True, gc=False):
    """An upper bound of the difference at a given time."""

    value_ns: int
    distance_ns: int
    """How far off the nearest message that is kept lies in time."""


def allow_drift(distance_ns: int) -> int:
    """Return by how much two clocks may drift apart in a time."""
    return distance_ns // DRIFT_DIVISOR + 1


def _covers(bound_ns: int, distance_ns: int, other_ns: int) -> bool:
    """Tell whether a message makes another useless that lies so far off in time."""
    return bound_ns + distance_ns // DRIFT_DIVISOR < other_ns and distance_ns <= MAX_AGE_NS


class Envelope:
    """The messages that count: each gives the lowest bound of all at its own time."""

    __slots__ = ("_bounds", "_times")

    def __init__(self) -> None:
        """Start without messages."""
        self._times = array("q")
        self._bounds = array("q")

    def __len__(self) -> int:
        """Return the number of messages kept."""
        return len(self._times)

    def find_newest(self, count: int) -> int:
        """Return the time since which `count` messages are kept, or all where there are fewer; there must be one."""
        return self._times[max(0, len(self._times) - count)]

    def add(self, at_ns: int, bound_ns: int) -> bool:
        """Take in that the difference was at most `bound_ns` at `at_ns`; tell whether that was worth keeping."""
        times, bounds = self._times, self._bounds
        first = last = bisect.bisect_left(times, at_ns)
        end = len(times)
        # If its neighbours leave it something to say so do all others: each of them counts where it stands itself.
        if first and _covers(bounds[first - 1], at_ns - times[first - 1], bound_ns):
            return False
        if last < end and _covers(bounds[last], times[last] - at_ns, bound_ns):
            return False
        while first and _covers(bound_ns, at_ns - times[first - 1], bounds[first - 1]):
            first -= 1
        while last < end and _covers(bound_ns, times[last] - at_ns, bounds[last]):
            last += 1
        cell = at_ns // CELL_NS
        if first and times[first - 1] // CELL_NS == cell:
            if bounds[first - 1] <= bound_ns:
                return False
            first -= 1
        if last < end and times[last] // CELL_NS == cell:
            if bounds[last] <= bound_ns:
                return False
            last += 1
        times[first:last] = array("q", (at_ns,))
        bounds[first:last] = array("q", (bound_ns,))
        return True

    def bound_at(self, at_ns: int) -> Bound | None:
        """Return the lowest bound at `at_ns`, None where no message is near enough to say anything."""
        times, bounds = self._times, self._bounds
        index = bisect.bisect_left(times, at_ns)
        if index and index == len(times):
            # The usual case: it is asked about the newest message.
            distance_ns = at_ns - times[-1]
            is_near = distance_ns <= MAX_AGE_NS
            return Bound(bounds[-1] + distance_ns // DRIFT_DIVISOR + 1, distance_ns) if is_near else None
        value_ns: int | None = None
        nearest_ns = MAX_AGE_NS
        if index:
            distance_ns = at_ns - times[index - 1]
            if distance_ns <= MAX_AGE_NS:
                value_ns, nearest_ns = bounds[index - 1] + distance_ns // DRIFT_DIVISOR + 1, distance_ns
        if index < len(times):
            distance_ns = times[index] - at_ns
            if distance_ns <= MAX_AGE_NS:
                other_ns = bounds[index] + distance_ns // DRIFT_DIVISOR + 1
                value_ns = other_ns if value_ns is None else min(value_ns, other_ns)
                nearest_ns = min(nearest_ns, distance_ns)
        return None if value_ns is None else Bound(value_ns, nearest_ns)

    def list_points(self, since_ns: int) -> tuple[list[int], list[int]]:
        """Return times and bounds of the messages from `since_ns` on, in order of time."""
        start = bisect.bisect_left(self._times, since_ns)
        return self._times[start:].tolist(), self._bounds[start:].tolist()

    def thin(self) -> None:
        """Give up every second message of the older half: of two neighbours the one that bounds less."""
        times, bounds = self._times, self._bounds
        half = len(times) // 4 * 2
        kept = [index if bounds[index] <= bounds[index + 1] else index + 1 for index in range(0, half, 2)]
        times[:half] = array("q", [times[index] for index in kept])
        bounds[:half] = array("q", [bounds[index] for index in kept])
