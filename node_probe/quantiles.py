"""Counts durations in buckets of growing width, and tells quantiles with a known error; no duration is kept.

Pure. From one power of two to the next there are 32 buckets of one width, as in HdrHistogram, so a bucket's middle is
at most 1/64 (1.6 %) away from any duration in it. Below 32 ns, and for the longest duration, what is told is exact.
"""

from array import array

_OCTAVE_BITS = 5
_OCTAVE = 1 << _OCTAVE_BITS

MAX_BITS = 32
"""Durations from 2^32 ns on (4.3 s) count as just below that: after a second the sweep ends a transit."""

_MAX_COUNTED_NS = (1 << MAX_BITS) - 1

BUCKETS = (MAX_BITS - _OCTAVE_BITS + 1) * _OCTAVE
"""896, of 8 bytes each: 7 KiB for each Quantiles, however much it counts."""

_NO_COUNTS = array("Q", bytes(8 * BUCKETS))


class Quantiles:
    """A bounded summary of any number of durations."""

    __slots__ = ("_counts", "count", "max_ns")

    def __init__(self) -> None:
        """Start empty."""
        self.count = 0
        self.max_ns = 0
        self._counts = _NO_COUNTS[:]

    def add(self, duration_ns: int) -> None:
        """Count a duration, at least 0."""
        self.count += 1
        self._counts[find_bucket(duration_ns)] += 1
        self.max_ns = max(self.max_ns, duration_ns)

    def read(self, percent: int) -> int:
        """Return the duration below or at which `percent` (1 to 100) of all lie, by nearest rank; 0 of none.

        It is within 1/64 of the true one, and never above the longest.
        """
        rank = -(-self.count * percent // 100)
        for bucket, count in enumerate(self._counts):
            rank -= count
            if rank <= 0 < count:
                return min(middle_ns(bucket), self.max_ns)
        return 0


def find_bucket(duration_ns: int) -> int:
    """Return the number of the bucket that a duration falls into, from 0 to BUCKETS - 1."""
    counted_ns = min(duration_ns, _MAX_COUNTED_NS)
    shift = max(0, counted_ns.bit_length() - _OCTAVE_BITS - 1)
    return (shift << _OCTAVE_BITS) + (counted_ns >> shift)


def middle_ns(bucket: int) -> int:
    """Return the middle of a bucket."""
    shift = max(0, (bucket >> _OCTAVE_BITS) - 1)
    return (bucket - (shift << _OCTAVE_BITS) << shift) + (1 << shift >> 1)
