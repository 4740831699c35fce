"""The rows of `node-probe top`: which hops they sum up, what an attempt is, and what bounds them."""

from typing import Any

from node_probe.hop_table import HopTable, Row, Sort
from node_probe.transit import Direction, Point, Stamp, Transit, Tunnel
from tests.node_probe.transits import vary

CLIENT, SERVER, OTHER = (bytes(15) + bytes([last]) for last in (1, 2, 3))


def make(times: dict[Point, int], **changes: Any) -> Transit:
    stamps = tuple(Stamp(point, 1, time_ns) for point, time_ns in times.items())
    return vary(**({"stamps": stamps, "client_address": CLIENT, "server_address": SERVER} | changes))


WAY = {Point.POD_EGRESS: 0, Point.VETH_INGRESS: 10, Point.OVERLAY_EGRESS: 30, Point.NIC_EGRESS: 31}


def count(rows: list[Row]) -> dict[tuple[bytes, bytes, str, str], int]:
    return {(row.key.client, row.key.server, row.key.direction.label, row.key.hop): row.count for row in rows}


def test_row_sums_up_a_hop_of_a_pair_and_direction() -> None:
    """Pairs, directions and hops are told apart; ports and numbers are not."""
    table = HopTable()
    for seq in range(5):
        table.observe(make(WAY, seq=seq, client_port=1000 + seq, tunnel=Tunnel.VXLAN))
    table.observe(make({Point.POD_EGRESS: 0, Point.VETH_INGRESS: 12}, direction=Direction.RESPONSE))
    table.observe(make({Point.POD_EGRESS: 0, Point.VETH_INGRESS: 14}, server_address=OTHER))
    table.observe(make({Point.NIC_EGRESS: 0}))
    assert count(table.list_rows()) == {
        (CLIENT, SERVER, "request", "veth-hop"): 5,
        (CLIENT, SERVER, "request", "host-forward"): 5,
        (CLIENT, SERVER, "request", "vxlan-encap"): 5,
        (CLIENT, SERVER, "response", "veth-hop"): 1,
        (CLIENT, OTHER, "request", "veth-hop"): 1,
    }
    assert table.transits == 8


def test_attempt_is_the_same_message_with_another_tsval() -> None:
    """The first is none; a second and third are; what differs in more than the TSval is another message."""
    table = HopTable()
    for changes in ({"tsval": 1}, {"tsval": 2}, {"tsval": 3}, {"seq": 9}, {"client_port": 9}, {"stream_id": 9}):
        table.observe(make({Point.POD_EGRESS: 0, Point.VETH_INGRESS: 10}, **changes))
    table.observe(make({Point.POD_EGRESS: 0, Point.VETH_INGRESS: 10}, direction=Direction.RESPONSE))
    rows = {row.key.direction: (row.count, row.attempts) for row in table.list_rows()}
    assert rows == {Direction.REQUEST: (6, 2), Direction.RESPONSE: (1, 0)}


def test_messages_are_forgotten_in_the_end() -> None:
    """Half of the bound is always remembered, and never more than the bound."""
    table = HopTable(max_messages=20)
    times = {Point.POD_EGRESS: 0, Point.VETH_INGRESS: 10}
    for seq in range(1000):
        table.observe(make(times, seq=seq))
        assert len(table._newer) + len(table._older) <= 20
    for seq in range(990, 1000):
        table.observe(make(times, seq=seq, tsval=7))
    table.observe(make(times, seq=0, tsval=7))
    (row,) = table.list_rows()
    assert (row.count, row.attempts) == (1011, 10)


def test_pairs_without_room_share_a_row() -> None:
    """Nothing is lost but the addresses: the row for all others is of the same hop and direction."""
    table = HopTable(max_rows=2)
    for number in range(50):
        table.observe(make(WAY, client_address=bytes([number]) * 16, tunnel=Tunnel.VXLAN))
    rows = count(table.list_rows())
    first = b"\0" * 16
    assert rows == {
        (first, SERVER, "request", "veth-hop"): 1,
        (first, SERVER, "request", "host-forward"): 1,
        (b"", b"", "request", "veth-hop"): 49,
        (b"", b"", "request", "host-forward"): 49,
        (b"", b"", "request", "vxlan-encap"): 50,
    }


def test_numbers_are_sorted_with_the_greatest_first() -> None:
    """By each number that there is; by pair they are in the order of a packet's way."""
    table = HopTable()
    for step_ns in (100, 200, 300):
        times = {Point.POD_EGRESS: 0, Point.VETH_INGRESS: 20, Point.VETH_EGRESS: 20 + step_ns}
        table.observe(make(times, tsval=step_ns))
    table.observe(make({Point.POD_EGRESS: 0, Point.VETH_INGRESS: 9000}, server_address=OTHER, seq=1))
    fields = {
        Sort.P99: "p99_ns",
        Sort.P50: "p50_ns",
        Sort.MAX: "max_ns",
        Sort.COUNT: "count",
        Sort.ATTEMPTS: "attempts",
    }
    assert {*fields, Sort.PAIR} == set(Sort)
    for sort, field in fields.items():
        numbers = [getattr(row, field) for row in table.list_rows(sort)]
        assert numbers == sorted(numbers, reverse=True)
        assert numbers[0] > numbers[-1]
    way = [(row.key.server, row.key.hop) for row in table.list_rows(Sort.PAIR)]
    assert way == [(SERVER, "veth-hop"), (SERVER, "host-forward"), (OTHER, "veth-hop")]


def test_clearing_keeps_the_messages() -> None:
    """Rows begin anew, and an attempt at an old message is still one."""
    table = HopTable()
    table.observe(make({Point.POD_EGRESS: 0, Point.VETH_INGRESS: 10}))
    table.clear()
    assert (table.list_rows(), table.transits) == ([], 0)
    table.observe(make({Point.POD_EGRESS: 0, Point.VETH_INGRESS: 10}, tsval=5))
    (row,) = table.list_rows()
    assert (row.count, row.attempts) == (1, 1)
