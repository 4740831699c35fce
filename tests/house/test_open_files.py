"""The check that a module leaves no files open finds them, and waits for those that are about to close."""

import os
import threading

from tests.open_files import FEW, find_left, list_open_files


def test_files_left_open_are_named_by_kind() -> None:
    """More than a few, after they had time to close."""
    before = list_open_files()
    fds = [fd for _ in range(FEW) for fd in os.pipe()] + [os.open("/dev/null", os.O_RDONLY)]
    left = find_left(before, patience_s=0.2)
    for fd in fds:
        os.close(fd)
    assert left == f"{2 * FEW} pipe:, 1 /dev/null"
    assert find_left(before) == ""


def test_files_that_a_thread_closes_are_waited_for() -> None:
    """Its end may come behind that of the test."""
    before = list_open_files()
    fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(FEW + 1)]
    thread = threading.Timer(0.3, os.closerange, (min(fds), max(fds) + 1))
    thread.start()
    assert find_left(before) == ""
    thread.join()
