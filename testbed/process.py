"""Runs long-lived processes, inside a namespace or outside, each with a log file.

They die with the process that started them, however it ends. Waits end by a deadline or by the process's death.
"""

import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from testbed.deadline import wait_until
from testbed.errors import TestbedError

LOG_TAIL_LINES = 15
_DIE_WITH_PARENT = ["setpriv", "--pdeathsig", "KILL", "sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"']
"""The kernel kills the process when its parent dies; a parent that died before it was asked is no parent any more."""

STOP_TIMEOUT_S = 5.0
"""An application flushes its spans when it is told to stop, which may take some seconds if nobody takes them."""


class ManagedProcess:
    """A running process and its log, which holds its standard output and error."""

    def __init__(self, name: str, popen: subprocess.Popen[bytes], log_path: Path) -> None:
        self.name = name
        self.log_path = log_path
        self._popen = popen

    @property
    def pid(self) -> int:
        return self._popen.pid

    def is_alive(self) -> bool:
        return self._popen.poll() is None

    def check_alive(self) -> None:
        """Raise TestbedError with the tail of the log if the process has ended."""
        if not self.is_alive():
            raise self._complain(f"exited with {self._popen.returncode}")

    def read_log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def read_log_tail(self) -> str:
        """Return the last lines of the log, for error messages."""
        return "\n".join(self.read_log().splitlines()[-LOG_TAIL_LINES:])

    def wait_for_output(self, pattern: str, timeout_s: float) -> re.Match[str]:
        """Wait until the log has a match for the regular expression and return it. Raises TestbedError."""
        expression = re.compile(pattern, re.MULTILINE)
        matches: list[re.Match[str]] = []

        def has_match() -> bool:
            matches.extend(expression.finditer(self.read_log()))
            return bool(matches)

        self.wait_until(has_match, f"did not print {pattern!r}", timeout_s)
        return matches[0]

    def wait_until(self, is_ready: Callable[[], bool], complaint: str, timeout_s: float) -> None:
        """Wait until the function answers true. Raises TestbedError with the complaint and the tail of the log."""
        ready = False

        def is_settled() -> bool:
            nonlocal ready
            ended = not self.is_alive()  # looked at first, so that a last word before the end counts
            ready = is_ready()
            return ready or ended

        try:
            wait_until(is_settled, complaint, timeout_s)
        except TestbedError as error:
            raise self._complain(str(error)) from error
        if not ready:
            raise self._complain(f"exited with {self._popen.returncode} and {complaint}")

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, without waiting."""
        self._popen.send_signal(number)

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Ask the process to stop, kill it after the timeout, and return its exit code (negative for a signal)."""
        self.send_signal(signal.SIGTERM)
        return self.wait_or_kill(timeout_s)

    def wait_or_kill(self, timeout_s: float) -> int:
        """Wait for the end of a process that was asked to stop, kill it after the timeout; returns as `stop` does."""
        if not self._wait(timeout_s):
            self._popen.kill()
        code = self._popen.wait()
        self._kill_group()
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _wait(self, timeout_s: float) -> bool:
        """Wait for the process's end and return whether it came."""
        try:
            self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _kill_group(self) -> None:
        """Kill what the process started and left behind; its session is its own (see run_in)."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def _complain(self, complaint: str) -> TestbedError:
        return TestbedError(f"{self.name} {complaint}; the end of {self.log_path}:\n{self.read_log_tail()}")


def run_in(
    namespace: str | None, command: list[str], *, log_path: Path, environment: dict[str, str] | None = None
) -> ManagedProcess:
    """Start a command inside a namespace, or outside where none is given; the log's stem is the process's name.

    It dies when the thread that called this ends, so call it from the main one. The environment is added to ours.
    Raises TestbedError.
    """
    place = [] if namespace is None else ["ip", "netns", "exec", namespace]
    log_path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log_path.open("wb") as log:
            popen = subprocess.Popen(
                [*_DIE_WITH_PARENT, str(os.getpid()), *place, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | (environment or {}),
                start_new_session=True,  # a Ctrl-C on the terminal reaches us alone; we stop the process in order
            )
    except OSError as error:
        raise TestbedError(f"{command[0]}: {error}") from error
    return ManagedProcess(log_path.stem, popen, log_path)


def stop_all(processes: list[ManagedProcess], timeout_s: float = STOP_TIMEOUT_S) -> None:
    """Stop the processes at once, so that the slowest one's time is the whole time."""
    for process in processes:
        process.send_signal(signal.SIGTERM)
    for process in processes:
        # A second signal could meet a Python that ends and has put the default handler back.
        process.wait_or_kill(timeout_s)
