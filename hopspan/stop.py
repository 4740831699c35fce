"""Tells the main thread that a signal asked the program to stop.

Neither threading.Event nor queue.SimpleQueue is for that: a handler that meets the main thread inside Event.wait,
where it holds the event's lock, waits for itself without end; and in Python 3.11 a SimpleQueue.get whose timeout
passes at the wrong moment has none. A file descriptor has no such lock.

And it is Python's own C code that writes to it, not a handler: a handler runs once the main thread is back in Python,
which it never is where it was just about to wait, or where the signal met another thread.
"""

import contextlib
import math
import os
import select
import signal
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """A flag that a signal may set, and that stays set."""

    def __init__(self) -> None:
        """Start without a request."""
        # Nobody reads it, so it stays as it is.
        self._reader, self._writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(self._reader, select.POLLIN)

    def set(self) -> None:
        """Ask to stop."""
        with contextlib.suppress(BlockingIOError):  # full, so it has been asked
            os.write(self._writer, b"\0")

    def wait(self, timeout_s: float | None = None) -> bool:
        """Return whether a request is there, after waiting for one up to the timeout; without a timeout, for ever."""
        return bool(self._poll.poll(None if timeout_s is None else math.ceil(timeout_s * 1000)))

    def close(self) -> None:
        """Let go of the descriptors, once no signal may come for them any more: a program never calls it."""
        os.close(self._reader)
        os.close(self._writer)

    def listen(self) -> None:
        """Take SIGTERM and SIGINT for requests from now on. Call it from the main thread.

        Any other signal that Python has a handler for would be one, too.
        """
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, _do_nothing)


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """Be there: without a handler Python writes nothing, and the signal kills."""
