"""When to try again: exponential backoff with full jitter, and the peer's own wish where it has one.

Pure: no clock, no random source; the caller hands in a random number.
"""

INITIAL_DELAY_NS = 500 * 10**6
"""Half a second: a restarted peer is usually back after one or two; the Collector's 5 s would fill our queues."""

MAX_DELAY_NS = 30 * 10**9
"""As the Collector's `max_interval`: long enough to spare a struggling peer, short enough to notice it is back."""

MAX_RETRY_AFTER_NS = 300 * 10**9
"""What a peer asks for is honoured up to the Collector's `max_elapsed_time`; beyond that the queue is lost anyway."""

_MAX_DOUBLINGS = 16


def choose_delay_ns(attempt: int, random_unit: float, retry_after_ns: int | None = None) -> int:
    """Return how long to wait before the attempt after failure number `attempt` (1 is the first).

    `random_unit` is uniform in [0, 1): full jitter, so that many clients do not return in one wave. With
    `retry_after_ns` the answer is never below it (up to MAX_RETRY_AFTER_NS), and jitter comes on top.
    """
    ceiling = min(MAX_DELAY_NS, INITIAL_DELAY_NS << min(max(attempt, 1) - 1, _MAX_DOUBLINGS))
    jitter = int(ceiling * random_unit)
    if retry_after_ns is None:
        return jitter
    return min(max(retry_after_ns, 0), MAX_RETRY_AFTER_NS) + jitter
