"""Stamps of both clocks come onto one clock, those of one run alone; what passed a point twice is left out."""

from pathlib import Path

import pytest

from node_probe.transit import Point
from testbed.capture_file import MessageKey
from testbed.losses import read_lost_percent, read_missed_percent
from testbed.stamps import POINT_OF_DEVICE, Offset, OffsetLine, read_captured
from tests.kernel.packets import CLIENT_PORT, SEQ, SERVER_PORT, request, vxlan

FIRST, LAST = Offset(1000, 5_000_000), Offset(2000, 5_000_010)


def test_wall_clock_that_is_slewed_is_followed() -> None:
    """Between two readings the offset lies on a line."""
    line = OffsetLine(FIRST, LAST)
    assert [line.to_epoch(ns) for ns in (1000, 1500, 2000)] == [5_001_000, 5_001_505, 5_002_010]


def test_messages_of_another_run_are_left_out() -> None:
    """Only what passed between the two readings belongs to a run."""
    inside, across = MessageKey(1, 0, 1), MessageKey(1, 0, 2)
    stamps = {
        inside: {Point.POD_EGRESS: 1100, Point.POD_INGRESS: 1200},
        across: {Point.POD_EGRESS: 900, Point.POD_INGRESS: 1100},
    }
    assert OffsetLine(FIRST, LAST).convert(stamps) == {
        inside: {Point.POD_EGRESS: 5_001_101, Point.POD_INGRESS: 5_001_202}
    }


def test_capture_of_every_device_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each message has the times of all devices; at one of them it came twice, which says nothing."""
    monkeypatch.setattr("testbed.stamps.PORT", SERVER_PORT)
    frame = request(b"GET / HTTP/1.1\r\n\r\n")
    for number, point in enumerate(POINT_OF_DEVICE):
        outer = vxlan(frame) if point in {Point.NIC_EGRESS, Point.NIC_INGRESS} else frame
        times = (number, 50 + number) if point is Point.VETH_EGRESS else (number,)
        packets = [b"".join(n.to_bytes(4, "little") for n in (1, at, len(outer), len(outer))) + outer for at in times]
        (tmp_path / f"{number}.pcap").write_bytes(bytes.fromhex("4d3cb2a1") + bytes(20) + b"".join(packets))
    met = {point: 10**9 + number for number, point in enumerate(POINT_OF_DEVICE) if point is not Point.VETH_EGRESS}
    assert read_captured(tmp_path) == {MessageKey(CLIENT_PORT, 0, SEQ): met}


@pytest.mark.parametrize(
    ("counts", "missed"),
    [
        ({"transits_started": 200, "transits_sent": 200}, 0),
        ({"transits_started": 202, "transits_sent": 202}, 0),
        ({"transits_started": 150, "rate_limited": 50, "transits_sent": 150}, 25),
        ({"transits_started": 100, "transits_sent": 100}, 50),
        ({}, 100),
    ],
    ids=["all", "under way at the end", "limited", "unseen", "killed"],
)
def test_message_without_a_transit_is_missed(counts: dict[str, int], missed: float) -> None:
    """Of 100 requests and their responses, as one node's agent counted them."""
    assert read_missed_percent([counts], requests=100) == pytest.approx(missed)


def test_nothing_started_is_nothing_lost_but_a_killed_agent_lost_all() -> None:
    """An agent that saw no sampled request has lost none; one that was killed tells nothing."""
    assert read_lost_percent([{"transits_started": 0, "transits_sent": 0}]) == 0
    assert read_lost_percent([{"transits_started": 4, "transits_sent": 3}]) == 25
    assert read_lost_percent([{}]) == 100
