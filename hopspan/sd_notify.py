"""Tells systemd how a service of Type=notify is doing: one datagram to the socket that the environment names.

sd_notify(3) without its library. Best effort: without such a socket, or where it does not answer, nothing happens.
"""

import contextlib
import os
import socket
from collections.abc import MutableMapping

_NS_PER_US = 1000


class Notifier:
    """The way to the service manager."""

    def __init__(self, environment: MutableMapping[str, str] | None = None) -> None:
        """Take NOTIFY_SOCKET and WATCHDOG_USEC out of the environment, so that no child speaks for this process."""
        environment = os.environ if environment is None else environment
        values = [environment.pop(name, "") for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")]
        self._path, watchdog_us, watchdog_pid = values
        expected = watchdog_us.isdigit() and watchdog_pid in ("", str(os.getpid()))
        self.watchdog_ns = int(watchdog_us) * _NS_PER_US if self._path and expected else 0
        """The longest silence that the manager takes for life; 0 where it does not watch."""

    def ready(self, status: str) -> None:
        """Say that the start is complete; `status` is one line for `systemctl status`."""
        self._send("READY=1", f"STATUS={status}")

    def beat(self) -> None:
        """Say that the program lives."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """Say that an orderly stop has begun."""
        self._send("STOPPING=1")

    def _send(self, *lines: str) -> None:
        if not self._path.startswith(("/", "@")):
            return
        address = f"\0{self._path[1:]}" if self._path.startswith("@") else self._path  # @: an abstract name
        # A full or vanished socket must not stop what it watches.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.settimeout(0)
            channel.sendto("\n".join(lines).encode(), address)
