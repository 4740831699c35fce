"""A request to stop reaches the main thread, at whatever moment its signal comes."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from hopspan.stop import StopRequest

DELAYS_US = range(1, 101)
"""Meet every step of `wait`; with threading.Event in its place the test hangs within some hundred signals."""

SWEEPS = 20


@pytest.fixture
def stopping() -> Iterator[StopRequest]:
    """A request to which nothing is written any more at the end, by the handlers that were there before."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)}
    with closing(StopRequest()) as stopping:
        yield stopping
        signal.set_wakeup_fd(-1)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_wait_ends_at_its_timeout(stopping: StopRequest) -> None:
    """Where nobody asks, the wait ends by its timeout, and none is needed to look."""
    assert not stopping.wait(0.001)
    assert not stopping.wait(0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_is_a_request(stopping: StopRequest, number: signal.Signals) -> None:
    """A signal ends a wait without a timeout, and every wait after it."""
    stopping.listen()
    threading.Timer(0.01, os.kill, (os.getpid(), number)).start()
    assert stopping.wait()
    assert stopping.wait(0)


def test_signal_that_meets_another_thread_is_a_request(stopping: StopRequest) -> None:
    """Nothing interrupts the main thread's wait then, nor where it was just about to wait."""
    stopping.listen()
    released = threading.Event()
    other = threading.Thread(target=released.wait)
    other.start()
    threading.Timer(0.05, lambda: signal.pthread_kill(other.ident or 0, signal.SIGTERM)).start()
    assert stopping.wait(30)
    released.set()
    other.join()


def test_many_requests_are_one(stopping: StopRequest) -> None:
    """However many signals come, none of them fails or blocks."""
    for _ in range(70_000):  # more than a pipe has room for
        stopping.set()
    assert stopping.wait(0)


@pytest.mark.usefixtures("stopping")
@pytest.mark.timeout(60, method="thread")  # the other method needs the timer that is used here
def test_signal_at_any_moment_is_met() -> None:
    """A handler may interrupt the wait at any step: neither waits for the other, and no request is missed."""
    for delay_us in [*DELAYS_US] * SWEEPS:
        with closing(StopRequest()) as stopping:
            signal.set_wakeup_fd(stopping._writer)
            signal.signal(signal.SIGALRM, lambda *_: None)
            signal.setitimer(signal.ITIMER_REAL, delay_us / 1e6)
            assert stopping.wait()
            signal.set_wakeup_fd(-1)
