"""Relates the clocks of one pair of nodes: what their messages say of theta, B's clock minus A's.

Pure. A message from A to B arrives after it left, so theta is at most B's stamp minus A's (sign 1); in the same way
one from B to A bounds minus theta (sign -1). Both hold without any assumption, at the time of A's stamp.
"""

import msgspec

from collector_plugin.clock_bounds import MAX_KEPT, Bound, Envelope
from collector_plugin.clock_line import Line, fit_line
from collector_plugin.clock_sightings import Sighting

LINE_MESSAGES = 32
"""Messages of each direction that a line is fitted to: some 5 s of ten exchanges a second. With all of a minute's the
error is 0.4 us instead of 3 (of 99 in 100, with a jitter of 20 us) while the drift is steady, but 90 instead of 8
while NTP changes it by 20 us/s."""

LINE_SPAN_NS = 60 * 10**9
"""The longest time that a line is fitted to. An older one still serves where nothing passed since."""

REFUTED_PART = 8
"""A line that leaves the bounds by this part of the room between them is wrong: the drift has changed."""

REFIT_PART = 4
"""A line is fitted again when so much of what it is fitted to is new."""


class Theta(msgspec.Struct, frozen=True, gc=False):
    """What is known of theta at the time of a message."""

    value_ns: int
    uncertainty_ns: int
    """Theta is within so much of the value."""
    distance_ns: int
    """How far off in time the other direction's nearest message lies."""


class NodePair:
    """The bounds of theta, from either side."""

    __slots__ = (
        "_changes",
        "_last",
        "_last_other",
        "_line",
        "_sides",
        "is_bounded",
        "is_cloned",
        "seen_ns",
        "shares_id",
    )

    def __init__(self, *, shares_id: bool = False) -> None:
        """Start without bounds; `shares_id` tells whether both nodes name the same clock."""
        self.shares_id = shares_id
        self.is_cloned = False
        """Whether two clocks have proved to share one id."""
        self.is_bounded = False
        """Whether there is a bound on either side."""
        self.seen_ns = 0
        """When a message was last taken in, by the plugin's own clock."""
        self._sides = {1: Envelope(), -1: Envelope()}
        self._line: Line | None = None
        self._changes = 0
        """Messages kept since the line was last looked for."""
        self._last: Sighting | None = None
        """The newest message, which is nearly always the next to be related."""
        self._last_other: Bound | None = None
        """What was known of the other direction at its time."""

    def observe(self, sighting: Sighting) -> bool:
        """Take in a message; tell whether it is possible beside the others. If not, they are forgotten.

        The newest is right if a clock was stepped, as by a machine that was paused; should the newest be the one
        that is wrong, the next shows it in the same way.
        """
        bound_ns = sighting.sign * sighting.gap_ns
        other = self._sides[-sighting.sign].bound_at(sighting.at_ns)
        self._last, self._last_other = sighting, other
        is_possible = other is None or bound_ns + other.value_ns >= 0
        if not is_possible:
            self._forget()
        side = self._sides[sighting.sign]
        if side.add(sighting.at_ns, bound_ns):
            self._changes += 1
            self.is_bounded = self.is_bounded or all(self._sides.values())
            if len(side) > MAX_KEPT:
                side.thin()
        return is_possible

    def relate(self, sighting: Sighting) -> Theta | None:
        """Return theta for a message, such that it did not arrive before it left; None where there is no bound."""
        sign = sighting.sign
        is_last = sighting is self._last
        other = self._last_other if is_last else self._sides[-sign].bound_at(sighting.at_ns)
        if other is None:
            return None
        own = self._sides[sign].bound_at(sighting.at_ns)
        high_ns = sign * sighting.gap_ns if own is None else min(own.value_ns, sign * sighting.gap_ns)
        low_ns = -other.value_ns
        if low_ns > high_ns:
            return None
        value_ns = self._estimate(sighting, low_ns, high_ns)
        return Theta(sign * value_ns, max(high_ns - value_ns, value_ns - low_ns), other.distance_ns)

    def _estimate(self, sighting: Sighting, low_ns: int, high_ns: int) -> int:
        """Return the likeliest of the values from `low_ns` to `high_ns`, which bound theta times the sign."""
        line = self._fit()
        middle_ns = (low_ns + high_ns) // 2
        if line is None:
            return middle_ns
        value_ns = sighting.sign * line.read(sighting.at_ns)
        if max(low_ns - value_ns, value_ns - high_ns) * REFUTED_PART > high_ns - low_ns:
            return middle_ns
        return min(max(value_ns, low_ns), high_ns)

    def _fit(self) -> Line | None:
        if not self.is_bounded:
            # The message to be related may bound nothing itself, while all others went the other way.
            return None
        if not self._changes:
            return self._line
        sides = self._sides.values()
        if self._changes * REFIT_PART > min(2 * LINE_MESSAGES, sum(map(len, sides))):
            self._changes = 0
            since_ns = max(side.find_newest(1) for side in sides) - LINE_SPAN_NS
            since_ns = max(since_ns, min(side.find_newest(LINE_MESSAGES) for side in sides))
            line = fit_line(self._sides[1].list_points(since_ns), self._sides[-1].list_points(since_ns))
            self._line = line or self._line
        return self._line

    def _forget(self) -> None:
        self._last = None
        self._sides = {1: Envelope(), -1: Envelope()}
        self.is_bounded = False
        self._line = None
        self._changes = 0
