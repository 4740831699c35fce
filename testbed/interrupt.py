"""Holds Ctrl-C, SIGTERM and SIGHUP back while something must run to its end, and hands them on afterwards."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def hold_interrupts() -> Iterator[None]:
    """Hold the signals until the block ends. In a thread they are not held, since only the main one meets them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []

    def hold(number: int, _frame: FrameType | None) -> None:
        held.append(number)

    handlers = {number: signal.signal(number, hold) for number in _SIGNALS}
    try:
        yield
    finally:
        for restored, handler in handlers.items():
            signal.signal(restored, handler)
        for number in held:
            signal.raise_signal(number)


def raise_on_terminate() -> None:
    """Make SIGTERM, and SIGHUP of a closed terminal, end the program as Ctrl-C does: context managers clean up."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup(1) leaves it
        signal.signal(signal.SIGHUP, signal.default_int_handler)
