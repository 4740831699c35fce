"""The bursts of one direction around an interval: entries -> one SeenBurst for each burst, whatever its attempts.

Pure.
"""

import msgspec

from node_probe.flow_direction import FlowDirection
from node_probe.kept_entries import KeptBurst
from node_probe.transit import Point

AROUND = 8
"""Entries looked at before and behind the interval, for the burst next to it; some may be attempts."""

_NUMBERS = 1 << 16


class SeenBurst(msgspec.Struct, gc=False):
    """A burst, with what its attempts and followers tell."""

    burst: KeptBurst
    """Its first attempt of those that are kept."""
    entries: list[int]
    """All attempts' numbers in the direction."""
    is_followed: bool

    @property
    def first_ns(self) -> int:
        """Return when it began."""
        return self.burst.first_ns

    def is_next(self, other: "SeenBurst | None") -> bool:
        """Return whether `other` is the burst behind this one, so that none is missing between them."""
        return other is not None and (other.burst.number - self.burst.number) % _NUMBERS == 1


class SeenDirection(msgspec.Struct):
    """The bursts of a direction around an interval, in order."""

    direction: FlowDirection
    bursts: list[SeenBurst]

    def find_inside(self, start_ns: int, end_ns: int) -> list[int]:
        """Return the positions of the bursts that began between both times."""
        return [at for at, seen in enumerate(self.bursts) if start_ns <= seen.first_ns <= end_ns]

    def before(self, at: int) -> SeenBurst | None:
        """Return the burst that was met before that at a position."""
        return self.bursts[at - 1] if at else None

    def after(self, at: int) -> SeenBurst | None:
        """Return the burst that was met after that at a position."""
        return self.bursts[at + 1] if at + 1 < len(self.bursts) else None

    def is_followed(self, at: int, *, is_whole: bool) -> bool | None:
        """Return whether a burst goes on with another segment that begins with a record; None: not known."""
        seen, after = self.bursts[at], self.after(at)
        if seen.is_followed:
            return True
        if after is not None and seen.is_next(after):
            return after.burst.previous_followers > 0
        return False if is_whole else None


def read_direction(direction: FlowDirection, start_ns: int, end_ns: int) -> SeenDirection:
    """Return the bursts that began between both times, and some around them."""
    first, last = direction.find(start_ns) - AROUND, direction.find(end_ns + 1) + AROUND
    found: dict[tuple[int, int], SeenBurst] = {}
    followers = set()
    for entry, burst in zip(range(max(first, 0), last), direction.read_range(first, last), strict=False):
        key = burst.number, burst.seq
        if burst.is_follower:
            followers.add(key)
        elif key in found:
            found[key].entries.append(entry)
            found[key].is_followed |= burst.is_followed
        else:
            found[key] = SeenBurst(burst, [entry], burst.is_followed)
    for key in followers & found.keys():
        found[key].is_followed = True
    return SeenDirection(direction, list(found.values()))


def starts_here(direction: FlowDirection, entry: int) -> bool:
    """Return whether the sender is on this node: then the span's clock, too, is that of this node."""
    (kind, _, _, _), _ = direction.read_stamps(entry)
    lowest = (kind[2] & -kind[2]).bit_length()
    return lowest <= Point.NIC_EGRESS
