"""Tells the main thread that a signal asked the program to stop.

Neither threading.Event nor queue.SimpleQueue is for that: a handler that meets the main thread inside Event.wait,
where it holds the event's lock, waits for itself without end; and in Python 3.11 a SimpleQueue.get whose timeout
passes at the wrong moment has none. A file descriptor has no such lock.
"""

import math
import os
import select
import signal
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """A flag that a signal handler may set, and that stays set."""

    def __init__(self) -> None:
        """Start without a request."""
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def set(self) -> None:
        """Ask to stop."""
        os.eventfd_write(self._fd, 1)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Return whether a request is there, after waiting for one up to the timeout; without a timeout, for ever."""
        return bool(self._poll.poll(None if timeout_s is None else math.ceil(timeout_s * 1000)))

    def listen(self) -> None:
        """Take SIGTERM and SIGINT for requests from now on. Call it from the main thread."""
        for number in _SIGNALS:
            signal.signal(number, self._handle)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self.set()
