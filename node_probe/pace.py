"""When the points are planned anew: at a change, but not all the time; and at a failure, ever more rarely.

Pure: reads no clock. Planning keeps the agent from reading the ring, and a node that changes without end must not
keep it planning without end.
"""

REST_PER_WORK = 4
"""Planning takes at most a fifth of the time."""

MAX_REST_NS = 500_000_000
"""A pod that comes is attached within a second, however long the last plan took."""

FIRST_RETRY_NS = 1_000_000_000
"""A device may appear before its namespace can be entered; and netlink may say nothing of the difference."""

MAX_RETRY_NS = 30_000_000_000
"""What fails for good, as where a right is missing, costs a search of all processes each time."""


class Pace:
    """What is known of changes, failures and the last plan. Times are CLOCK_MONOTONIC."""

    def __init__(self) -> None:
        """Begin with nothing to do."""
        self._changed = False
        self._failed = False
        self._rest_until_ns = 0
        self._retry_at_ns = 0
        self._retry_ns = FIRST_RETRY_NS

    def note_change(self) -> None:
        """Note that the devices or routes are others."""
        self._changed = True
        self._retry_ns = FIRST_RETRY_NS

    def is_due(self, now_ns: int) -> bool:
        """Return whether to plan now."""
        if self._changed and now_ns >= self._rest_until_ns:
            return True
        return self._failed and now_ns >= self._retry_at_ns

    def note_plan(self, start_ns: int, end_ns: int, *, failures: int) -> None:
        """Note that a plan was carried out between these times, all changes before `start_ns` in it."""
        self._rest_until_ns = end_ns + min(REST_PER_WORK * (end_ns - start_ns), MAX_REST_NS)
        self._changed = False
        self._failed = failures > 0
        self._retry_at_ns = end_ns + self._retry_ns
        self._retry_ns = min(2 * self._retry_ns, MAX_RETRY_NS) if failures else FIRST_RETRY_NS
