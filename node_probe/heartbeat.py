"""The pulse of the agent's loop: kept for the health page, and passed on to systemd where it watches.

Written by the agent's thread and read by others; each value is one int. Reads no clock.
"""

from hopspan.sd_notify import Notifier


class Heartbeat:
    """What the loop did last."""

    def __init__(self, notifier: Notifier | None = None) -> None:
        """Pass it on to `notifier`, if any."""
        self.last_ns = 0
        """CLOCK_MONOTONIC of the last turn; 0 before the points were first attached."""
        self.failed_points = 0
        """Programs that could not be attached at the last try."""
        self._notifier = notifier
        # Twice as often as asked, as sd_watchdog_enabled(3) advises; each turn of the loop where it is not asked.
        self._interval_ns = notifier.watchdog_ns // 2 if notifier is not None else 0
        self._told_ns = 0

    def begin(self, now_ns: int, failed_points: int, status: str) -> None:
        """Note that the points are attached; `status` is one line for people."""
        self.beat(now_ns, failed_points)
        if self._notifier is not None:
            self._notifier.ready(status)

    def beat(self, now_ns: int, failed_points: int) -> None:
        """Note a turn of the loop: the ring was just read."""
        self.last_ns = now_ns
        self.failed_points = failed_points
        if self._notifier is not None and self._interval_ns and now_ns - self._told_ns >= self._interval_ns:
            self._told_ns = now_ns
            self._notifier.beat()
