"""Fits a line to the difference between two clocks, out of upper bounds of it and of its opposite.

Pure. The line is an estimate: it takes the drift as steady for a while. What it says is used inside the bounds alone.

Any line below all bounds of the difference, and above all of its opposite, could be the difference. Where the convex
hulls of the two come nearest to each other only one slope fits between them: that is the drift, and the middle is the
difference if the wire takes the same time both ways. Hulls for one direction: Zhang, Liu, Xia, "Clock Synchronization
Algorithms for Network Measurements", INFOCOM 2002.
"""

import bisect
import math

import msgspec

from collector_plugin.clock_bounds import DRIFT_DIVISOR

MAX_SLOPE = 1 / DRIFT_DIVISOR

MIN_POINTS = 2
"""A hull of fewer has no edge."""

Points = tuple[list[int], list[int]]
"""Times in order, and the upper bound at each."""


class Line(msgspec.Struct, frozen=True):
    """The difference between two clocks as a line."""

    at_ns: int
    value_ns: int
    slope: float

    def read(self, at_ns: int) -> int:
        """Return the difference at a time."""
        return self.value_ns + round((at_ns - self.at_ns) * self.slope)


def fit_line(uppers: Points, opposites: Points) -> Line | None:
    """Return the line in the middle between the two, None where they leave no room for one, or tell too little.

    `uppers` bound the difference from above, `opposites` its opposite.
    """
    if len(uppers[0]) < MIN_POINTS or len(opposites[0]) < MIN_POINTS:
        return None
    origin_ns, upper_ns, opposite_ns = uppers[0][0], uppers[1][0], opposites[1][0]
    ceiling, floor = _Hull(uppers, origin_ns, upper_ns), _Hull(opposites, origin_ns, opposite_ns)
    start, end = max(ceiling.xs[0], floor.xs[0]), min(ceiling.xs[-1], floor.xs[-1])
    if start >= end:
        return None
    corners = sorted({x for x in (*ceiling.xs, *floor.xs) if start <= x <= end})
    # The way between them is convex, so it is narrowest at the first corner from which it widens.
    index = bisect.bisect_left(corners, 0.0, key=lambda x: ceiling.slope_after(x) + floor.slope_after(x))
    narrowest = corners[min(index, len(corners) - 1)]
    above, below = ceiling.read(narrowest), floor.read(narrowest)
    if upper_ns + opposite_ns + above + below < 0:
        return None
    low = max(ceiling.slope_before(narrowest), -floor.slope_after(narrowest), -MAX_SLOPE)
    high = min(ceiling.slope_after(narrowest), -floor.slope_before(narrowest), MAX_SLOPE)
    if low > high:
        return None
    value_ns = (upper_ns - opposite_ns + round(above - below)) // 2
    return Line(origin_ns + round(narrowest), value_ns, (low + high) / 2)


class _Hull:
    """The lower convex hull of points, relative to an origin: floats, since it only serves an estimate."""

    def __init__(self, points: Points, origin_ns: int, bound_ns: int) -> None:
        xs: list[float] = []
        ys: list[float] = []
        for at_ns, value_ns in zip(*points, strict=True):
            x, y = float(at_ns - origin_ns), float(value_ns - bound_ns)
            while len(xs) > 1 and (ys[-1] - ys[-2]) * (x - xs[-2]) >= (y - ys[-2]) * (xs[-1] - xs[-2]):
                xs.pop()
                ys.pop()
            xs.append(x)
            ys.append(y)
        self.xs, self._ys = xs, ys

    def read(self, x: float) -> float:
        """Return the hull's height at a place within it."""
        index = max(1, bisect.bisect_left(self.xs, x))
        return self._ys[index - 1] + self._slope(index) * (x - self.xs[index - 1])

    def slope_before(self, x: float) -> float:
        """Return the slope on the left of a place within the hull; whatever is steeper fits at its left end."""
        index = bisect.bisect_left(self.xs, x)
        return self._slope(index) if index else -math.inf

    def slope_after(self, x: float) -> float:
        """Return the slope on the right of a place within the hull."""
        index = bisect.bisect_right(self.xs, x)
        return self._slope(index) if index < len(self.xs) else math.inf

    def _slope(self, index: int) -> float:
        xs, ys = self.xs, self._ys
        return (ys[index] - ys[index - 1]) / (xs[index] - xs[index - 1])
