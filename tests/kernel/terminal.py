"""A pseudo terminal with a program in it, as a person would have: keys in, and what stands on the screen out."""

import errno
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence

from tests.kernel.made_node import DEADLINE_S

ENTER_SCREEN, LEAVE_SCREEN = "\x1b[?1049h", "\x1b[?1049l"
_OF_TERMINALS = frozenset({"COLUMNS", "LINES", "TERM", "NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"})
_HOME = "\x1b[H"
_STYLE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def without_terminal(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what says of another terminal how wide or colourful it is."""
    return {name: value for name, value in environment.items() if name not in _OF_TERMINALS}


class Terminal:
    """The program's standard streams are the terminal, and the terminal is its controlling one."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], rows: int = 24, columns: int = 100
    ) -> None:
        self.fd, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(slave)
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no thread runs here
            env={**without_terminal(environment), "TERM": "xterm-256color"},
        )
        self._slave = slave
        # Not select(): whole runs open more than the 1024 files that it can name.
        self._poll = select.poll()
        self._poll.register(self.fd, select.POLLIN)
        self.text = ""
        """Everything written so far."""

    def read(self) -> None:
        """Take what was written since."""
        while self._poll.poll(0):
            try:
                data = os.read(self.fd, 65536)
            except OSError as error:
                assert error.errno == errno.EIO  # noqa: PT017 - the terminal's other end is closed
                return
            self.text += data.decode(errors="replace")

    def wait_for(self, wanted: str) -> str:
        """Read until the screen shows what the pattern says, and return the screen."""
        deadline = time.monotonic() + DEADLINE_S
        while not re.search(wanted, self.screen):
            assert time.monotonic() < deadline, self.screen
            assert self.process.poll() is None, self.text
            self._poll.poll(100)
            self.read()
        return self.screen

    @property
    def screen(self) -> str:
        """Return what was drawn last, without styles."""
        drawn = self.text.split(ENTER_SCREEN)[-1].split(_HOME)[-1] if ENTER_SCREEN in self.text else self.text
        return _STYLE.sub("", drawn).replace("\r\n", "\n")

    def press(self, keys: bytes) -> None:
        os.write(self.fd, keys)

    def end(self) -> int:
        """Read until the program has ended; return its exit code."""
        deadline = time.monotonic() + DEADLINE_S
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.text
            self._poll.poll(100)
            self.read()
        self.read()
        return self.process.returncode

    @property
    def modes(self) -> list[object]:
        """Return how the terminal is set."""
        return termios.tcgetattr(self._slave)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.fd)
        os.close(self._slave)
