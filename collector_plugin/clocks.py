"""Relates the clocks of two nodes: what must be taken from the far node's stamps to lay them on the near clock.

Pure. Nodes with one clock id share a kernel's clock, unless a message would arrive before it left, or their wall
clocks differ: then they are taken for cloned machines. Two clocks are related by the messages that pass.
"""

import collections
import enum

import msgspec

from collector_plugin.clock_bounds import allow_drift
from collector_plugin.clock_pairs import NodePair
from collector_plugin.clock_sightings import PairKey, Sighting, Way
from collector_plugin.reasons import ClockReason

MAX_PAIRS = 5_000
"""Pairs of nodes: all of a cluster of a hundred nodes. Each takes up to 10 KiB."""

PAIR_TTL_NS = 1_200 * 10**9
"""How long a pair is remembered that nothing passes between: longer than its messages bound anything."""

FRESH_NS = 10**9
"""Clocks drift by 0.1 ms in it at most. Where no message is nearer, one that is to come may bound them better."""

WORST_SPAN_NS = 60 * 10**9
"""The largest uncertainty is that of the last one to two minutes."""


class ClockSource(enum.StrEnum):
    """How the far node's stamps came onto the parent's clock; the value of `hopspan.clock.source`."""

    SAME = "same"
    """The nodes share one kernel clock."""
    MEASURED = "measured"
    """By the messages that passed between the nodes."""
    EPOCH = "epoch"
    """By the far node's own wall clock, since nothing of the near node is known."""


_MEASURED = ClockSource.MEASURED


class ClockRelation(msgspec.Struct, frozen=True, gc=False):
    """What is known of two nodes' clocks at the time of a message."""

    source: ClockSource
    theta_ns: int
    """The far node's monotonic clock minus the near node's."""
    uncertainty_ns: int = 0
    """How far off theta may be, at any of the far node's stamps."""
    is_fresh: bool = True
    """Whether it may not soon be known better."""


class Clocks:
    """What is known of the clocks of all nodes, by pair."""

    def __init__(self) -> None:
        """Start without any."""
        self.contradictions: dict[ClockReason, int] = dict.fromkeys(ClockReason, 0)
        self.evicted = 0
        """Pairs forgotten for want of room; those that grew old are not counted."""
        self._pairs: collections.OrderedDict[PairKey, NodePair] = collections.OrderedDict()
        self._worst_ns = self._former_worst_ns = self._worst_since_ns = 0

    @property
    def worst_uncertainty_ns(self) -> int:
        """Return the largest uncertainty of late."""
        return max(self._worst_ns, self._former_worst_ns)

    def count_pairs(self) -> tuple[int, int]:
        """Return the number of pairs that are bounded on both sides, and of those that are not."""
        bounded = sum(pair.is_bounded for pair in self._pairs.values())
        return bounded, len(self._pairs) - bounded

    def observe(self, seen: Sighting, now_ns: int) -> Way | None:
        """Take in a message; return the way that it passed if that may be bounded better now."""
        if not seen.is_exact:
            return None
        pair = self._pairs.get(seen.pair)
        if pair is None:
            if seen.is_within_node or (seen.shares_id and seen.can_be_one_clock and not seen.is_doubtful):
                return None
            pair = self._add_pair(seen)
        pair.seen_ns = now_ns
        self._pairs.move_to_end(seen.pair)
        if pair.shares_id and not pair.is_cloned and not seen.can_be_one_clock:
            pair.is_cloned = True
            self.contradictions[ClockReason.CLONED_ID] += 1
        if not pair.observe(seen):
            self.contradictions[ClockReason.STEPPED] += 1
        return seen.way

    def relate(self, seen: Sighting) -> ClockRelation | None:
        """Return how the clocks of a message's nodes relate, None where too little is known.

        The message itself is heard: with the relation it does not arrive before it left.
        """
        pair = self._pairs.get(seen.pair)
        if pair is None:
            shares_clock = seen.is_within_node or (seen.shares_id and not seen.is_doubtful)
            return _relate_one_clock(seen) if shares_clock else None
        if pair.shares_id and not pair.is_cloned and not seen.is_doubtful:
            return _relate_one_clock(seen)
        theta = pair.relate(seen)
        if theta is None:
            return None
        theta_ns = theta.value_ns if seen.is_near_first else -theta.value_ns
        far_ns = seen.at_ns + theta_ns if seen.is_near_first else seen.at_ns
        # The bounds are those of the moment when the message was at A; where that lies among the stamps is as sure.
        times_ns = seen.far_times_ns
        distance_ns = max(far_ns - times_ns[0], times_ns[-1] - far_ns) + theta.uncertainty_ns
        uncertainty_ns = theta.uncertainty_ns + allow_drift(distance_ns)
        self._worst_ns = max(self._worst_ns, uncertainty_ns)
        return ClockRelation(_MEASURED, theta_ns, uncertainty_ns, theta.distance_ns <= FRESH_NS)

    def expire(self, now_ns: int) -> None:
        """Forget the pairs that nothing passed between for long."""
        while self._pairs:
            key, pair = next(iter(self._pairs.items()))
            if pair.seen_ns + PAIR_TTL_NS > now_ns:
                break
            if pair.is_cloned:
                # What is old bounds nothing, but the next message may not show that they are clones.
                pair.seen_ns = now_ns
                self._pairs.move_to_end(key)
            else:
                del self._pairs[key]
        if now_ns - self._worst_since_ns >= WORST_SPAN_NS:
            self._worst_since_ns, self._former_worst_ns, self._worst_ns = now_ns, self._worst_ns, 0

    def _add_pair(self, seen: Sighting) -> NodePair:
        pair = self._pairs[seen.pair] = NodePair(shares_id=seen.shares_id)
        if len(self._pairs) > MAX_PAIRS:
            self._pairs.popitem(last=False)
            self.evicted += 1
        return pair


def _relate_one_clock(seen: Sighting) -> ClockRelation | None:
    if not seen.can_be_one_clock:
        return None
    # Within the slack the message still takes no negative time.
    theta_ns = min(seen.gap_ns, 0) if seen.sign > 0 else max(seen.gap_ns, 0)
    return ClockRelation(ClockSource.SAME, theta_ns if seen.is_near_first else -theta_ns)
