"""Calls something at short, regular intervals from a thread of its own: the only timer of the plugin."""

import threading
import time
from collections.abc import Callable

from hopspan.logs import Log

INTERVAL_S = 0.05
"""Network spans leave at most this much later than they could; four times a second would be seen in a live view."""


class Ticker:
    """A thread that calls `act` with the monotonic time. An error of `act` is logged and stops nothing."""

    def __init__(self, act: Callable[[int], None], log: Log) -> None:
        """Prepare the thread; `start` starts it."""
        self._act = act
        self._log = log
        self._stopping = threading.Event()
        self.last_ns = 0
        """When `act` was called last; 0 before the first time."""
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)

    def start(self) -> None:
        """Start calling."""
        self._thread.start()

    def stop(self) -> None:
        """Stop calling, and wait for the call that is under way."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(INTERVAL_S):
            self.last_ns = time.monotonic_ns()
            try:
                self._act(self.last_ns)
            except Exception as error:  # noqa: BLE001 - a fault in the join must never end the join
                self._log.error("network spans could not be made", exception=type(error).__name__, text=str(error))
