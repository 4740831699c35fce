"""The loop's pulse, as systemd gets it."""

import os
import socket
from collections.abc import Iterator

import pytest

from hopspan.sd_notify import Notifier
from node_probe.heartbeat import Heartbeat

NAME = f"hstest-{os.getpid()}-pulse"
WATCHDOG_NS = 10_000_000_000
TURN_NS = 1_000_000_000


@pytest.fixture
def manager() -> Iterator[socket.socket]:
    """Listen as the service manager."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind("\0" + NAME)
        channel.settimeout(0)
        yield channel


def read_all(manager: socket.socket) -> list[bytes]:
    heard = []
    while True:
        try:
            heard.append(manager.recv(100))
        except BlockingIOError:
            return heard


def test_watchdog_hears_twice_an_interval(manager: socket.socket) -> None:
    """Ready once; then alive every half interval, however often the loop turns."""
    notifier = Notifier({"NOTIFY_SOCKET": f"@{NAME}", "WATCHDOG_USEC": str(WATCHDOG_NS // 1000)})
    heartbeat = Heartbeat(notifier)
    assert heartbeat.last_ns == 0
    heartbeat.begin(100 * TURN_NS, 1, "8 points")
    assert read_all(manager) == [b"WATCHDOG=1", b"READY=1\nSTATUS=8 points"]
    for turn in range(101, 121):
        heartbeat.beat(turn * TURN_NS, 0)
    assert read_all(manager) == [b"WATCHDOG=1"] * 4
    assert (heartbeat.last_ns, heartbeat.failed_points) == (120 * TURN_NS, 0)


def test_unwatched(manager: socket.socket) -> None:
    """Without a watchdog systemd hears of the start alone, and without systemd nobody does."""
    for heartbeat in (Heartbeat(Notifier({"NOTIFY_SOCKET": f"@{NAME}"})), Heartbeat()):
        heartbeat.begin(TURN_NS, 2, "")
        heartbeat.beat(2 * TURN_NS, 3)
        assert (heartbeat.last_ns, heartbeat.failed_points) == (2 * TURN_NS, 3)
    assert read_all(manager) == [b"READY=1\nSTATUS="]
