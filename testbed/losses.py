"""What the counts of a variant's processes say of losses, and whether all of them were counted.

Pure: counts as `variants` reads them from the processes' last words.
"""

import statistics

from node_probe.counters import Reason
from testbed.variants import Counts


def read_lost_percent(counts: list[Counts]) -> float:
    """Return how much of what started was not delivered; a killed agent tells nothing, so all of its are lost."""
    shares: list[float] = []
    for count in counts:
        started = count.get("counters", count).get("transits_started", 0)
        delivered = count.get("records", count.get("transits_sent", 0))
        lost = 1 - delivered / started if started else 0.0
        shares.append(100 * lost if count else 100.0)
    return statistics.mean(shares)


def read_uncounted(counts: list[Counts]) -> float:
    """Return how many transits came to user space and neither left it nor were counted as lost."""
    total = 0
    for count in counts:
        came = count.get("counters", count).get("transits_emitted", 0) + count.get("transits_swept", 0)
        left = count.get("records", count.get("transits_sent", 0))
        total += came - left - sum(count.get(reason.value, 0) for reason in Reason)
    return total


def read_capture_lost_percent(counts: list[Counts]) -> float:
    """Return how many percent of the packets tcpdump's buffers had no room for."""
    captured, dropped = (sum(int(count[name]) for count in counts) for name in ("captured", "dropped"))
    return 100 * dropped / max(1, captured + dropped)


def read_missed_percent(counts: list[Counts], requests: int) -> float:
    """Return how many percent of the messages that passed the nodes gave no transit that an agent delivered.

    Each request and its response pass each node. wrk does not count requests that were under way at its end: where
    the programs saw more, that is how many there were.
    """
    messages = delivered = 0
    for count in counts:
        seen = sum(count.get(name, 0) for name in ("transits_started", "rate_limited", "transit_map_full"))
        messages += max(2 * requests, seen)
        delivered += count.get("transits_sent", 0)
    return 100 * (1 - delivered / messages)
