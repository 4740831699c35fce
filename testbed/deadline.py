"""Waits, for a condition or for a time, never longer than told: the only module that sleeps."""

import time
from collections.abc import Callable

from testbed.errors import TestbedError

_POLL_INTERVAL_S = 0.01


def wait_until(is_ready: Callable[[], bool], complaint: str, timeout_s: float) -> None:
    """Wait until the function answers true. Raises TestbedError with the complaint after the timeout."""
    deadline = time.monotonic() + timeout_s
    while not is_ready():
        if time.monotonic() > deadline:
            raise TestbedError(f"{complaint} within {timeout_s} s")
        time.sleep(_POLL_INTERVAL_S)


def pause(seconds: float) -> None:
    """Wait so long."""
    time.sleep(seconds)
