"""What systemd hears, on a socket that stands where its own would."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from hopspan.sd_notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """Listen as the service manager, by both forms of address."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@hstest-{os.getpid()}-notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(name if request.param == "path" else "\0" + name[1:])
        channel.settimeout(60)
        yield name, channel


def test_story_of_a_service(manager: tuple[str, socket.socket]) -> None:
    """Ready, alive, stopping; each is one datagram."""
    name, channel = manager
    notifier = Notifier({"NOTIFY_SOCKET": name})
    notifier.ready("8 points by tcx")
    notifier.beat()
    notifier.stopping()
    assert [channel.recv(100) for _ in range(3)] == [b"READY=1\nSTATUS=8 points by tcx", b"WATCHDOG=1", b"STOPPING=1"]


@pytest.mark.parametrize(
    ("watchdog", "expected_ns"),
    [
        ({}, 0),
        ({"WATCHDOG_USEC": "30000000"}, 30_000_000_000),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30_000_000_000),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0),
        ({"WATCHDOG_USEC": "soon"}, 0),
    ],
)
def test_watchdog(watchdog: dict[str, str], expected_ns: int) -> None:
    """The time is taken from the environment where it is meant for this process, and no child sees it."""
    environment = {"NOTIFY_SOCKET": "/nowhere", "HOME": "/", **watchdog}
    assert Notifier(environment).watchdog_ns == expected_ns
    assert environment == {"HOME": "/"}


@pytest.mark.parametrize(
    "name", ["", "/nowhere/at/all", "@nobody-listens", "vsock:2:1234", "x" * 300, "/" + "x" * 300]
)
def test_nobody_listens(name: str) -> None:
    """Without a manager, or with one that cannot be reached, nothing happens."""
    notifier = Notifier({"NOTIFY_SOCKET": name})
    notifier.ready("")
    notifier.stopping()


def test_full_socket_does_not_block(manager: tuple[str, socket.socket]) -> None:
    """A manager that does not read stops nothing."""
    notifier = Notifier({"NOTIFY_SOCKET": manager[0]})
    for _ in range(2000):
        notifier.beat()
