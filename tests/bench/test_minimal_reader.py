"""The bench's reader attaches all points, however many calls that takes, and reads once more at its end."""

import os
import signal
from contextlib import closing

import pytest

from hopspan.logs import Log
from hopspan.stop import StopRequest
from node_probe.attach import ATTACH_LIMIT, Attacher
from node_probe.bpf import BpfMap
from node_probe.devices import Device
from node_probe.ring import RingReader
from testbed import minimal_reader
from testbed.minimal_reader import READY_LINE, attach, read_until

OVERLAYS = [Device(100 + i, f"vxlan{i}", kind="vxlan", underlays=(1,)) for i in range(ATTACH_LIMIT)]
"""Two points each: twice as many as one call attaches."""


class MapOfNothing(BpfMap):
    """Takes settings, and forgets them."""

    def __init__(self) -> None:
        super().__init__(-1, 4, 16)

    def update(self, _key: bytes, _value: bytes) -> None:
        """Do nothing."""


class StoppedRing(RingReader):
    """Has a record at every read, and sends this process SIGTERM during the second."""

    def __init__(self) -> None:
        self.reads = 0

    def read(self, _limit: int) -> list[bytes]:
        self.reads += 1
        if self.reads == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return [b"record"]


def test_all_points_are_attached(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What one call leaves, the next ones attach; then the reader says that it is ready."""
    monkeypatch.setattr(minimal_reader, "list_devices", lambda: OVERLAYS)
    monkeypatch.setattr("node_probe.attach.create_tcx_link", lambda *_: os.eventfd(0))
    programs = {"overlay_ingress": 0, "overlay_egress": 0}
    with closing(Attacher(programs, Log(), tcx=True)) as attacher:
        attach(attacher, MapOfNothing())
        assert len(attacher.attached) == 2 * ATTACH_LIMIT
    assert capsys.readouterr().out == f"{READY_LINE}: {2 * ATTACH_LIMIT} points\n"


def test_point_that_fails_ends_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """A measurement of half the points would be none."""
    monkeypatch.setattr(minimal_reader, "list_devices", lambda: OVERLAYS)

    def refuse(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr("node_probe.attach.create_tcx_link", refuse)
    with (
        closing(Attacher({"overlay_ingress": 0, "overlay_egress": 0}, Log(), tcx=True)) as attacher,
        pytest.raises(RuntimeError, match="not all points"),
    ):
        attach(attacher, MapOfNothing())


def test_signal_ends_the_reading() -> None:
    """SIGTERM is met, and what came until then is read."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    stopping, ring = StopRequest(), StoppedRing()
    stopping.listen()
    try:
        assert read_until(stopping, ring, None) == ring.reads == 3
    finally:
        signal.set_wakeup_fd(-1)
        stopping.close()
        for number, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
            signal.signal(number, handler)
