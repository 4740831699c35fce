"""What `node-probe top` writes, for scripts and for people."""

import json
from ipaddress import IPv6Address

import msgspec
import pytest

from node_probe.hop_table import HopTable, Row, RowKey, Sort
from node_probe.top_text import HEADS, HOP_COLUMN, Snapshot, fit_table, list_lines, write_address, write_json
from node_probe.transit import Direction
from tests.node_probe.records import make_record, read_transit

IPV4 = bytes(10) + b"\xff\xff"
CLIENT, SERVER = IPV4 + bytes([10, 244, 1, 10]), IPV4 + bytes([10, 96, 0, 20])

SNAPSHOT = Snapshot(
    rows=(
        Row(RowKey(CLIENT, SERVER, Direction.REQUEST, "veth-hop"), 23, 1049, 12_950, 81_234, 2),
        Row(RowKey(b"", b"", Direction.RESPONSE, "host-forward"), 5, 100, 200, 300, 0),
    ),
    rows_left_out=7,
    transits=28,
    elapsed_ns=1_234_567_890,
    points=8,
    mechanism="tcx",
    lost={"ring_full": 3},
)


def test_json_has_all_in_nanoseconds() -> None:
    """One line; other pairs together have no addresses."""
    line = write_json(SNAPSHOT)
    assert line.count(b"\n") == 1
    others = {"client": None, "server": None, "direction": "response", "hop": "host-forward", "count": 5}
    others |= {"p50_ns": 100, "p99_ns": 200, "max_ns": 300, "attempts": 0}
    assert json.loads(line) == {
        "elapsed_s": 1.235,
        "points": 8,
        "mechanism": "tcx",
        "transits": 28,
        "lost": {"ring_full": 3},
        "rows_left_out": 7,
        "rows": [
            {
                "client": "10.244.1.10",
                "server": "10.96.0.20",
                "direction": "request",
                "hop": "veth-hop",
                "count": 23,
                "p50_ns": 1049,
                "p99_ns": 12_950,
                "max_ns": 81_234,
                "attempts": 2,
            },
            others,
        ],
    }


def test_plain_lines() -> None:
    """Columns are aligned, what was lost and left out is said, and no byte is beyond ASCII."""
    text = "\n".join(list_lines(SNAPSHOT, Sort.P99))
    assert text == (
        "8 points by tcx   1.2 s   28 transits   by p99   3 lost: ring_full\n"
        "count  p50 us  p99 us  max us  attempts  hop           client           server\n"
        "   23     1.0    13.0    81.2         2  veth-hop      10.244.1.10  ->  10.96.0.20\n"
        "    5     0.1     0.2     0.3         0  host-forward  (others)     <-  (others)\n"
        "7 more rows"
    )
    assert text.isascii()


def test_table_without_rows() -> None:
    """The heads alone are a table too."""
    assert fit_table((), unicode=True) == [list(HEADS)]
    assert HEADS[HOP_COLUMN] == "hop"


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (CLIENT, "10.244.1.10"),
        (b"", "(others)"),
        (bytes(15) + b"\x01", "::1"),
        (b"\xfd" + bytes(14) + b"\x09", "fd00::9"),
    ],
)
def test_addresses_as_people_write_them(address: bytes, text: str) -> None:
    """IPv4 in its dotted form."""
    assert write_address(address) == text


def test_pods_with_ipv6_addresses_from_the_record_on() -> None:
    """What the kernel handed over is shown as people write it: shortest form, no brackets, no mapping."""
    table = HopTable()
    for client, server in (("fd00:10:244:1::a", "fd00:10:244:2::a"), ("::ffff:10.244.1.10", "::ffff:10.244.2.10")):
        addresses = {"client_address": IPv6Address(client).packed, "server_address": IPv6Address(server).packed}
        table.observe(read_transit(make_record(seen=0b11, **addresses)))
    snapshot = msgspec.structs.replace(SNAPSHOT, rows=tuple(table.list_rows(Sort.PAIR)))
    told = [(row["client"], row["server"]) for row in json.loads(write_json(snapshot))["rows"]]
    assert told == [("10.244.1.10", "10.244.2.10"), ("fd00:10:244:1::a", "fd00:10:244:2::a")]
    assert [line.split("veth-hop")[1] for line in list_lines(snapshot, Sort.PAIR)[2:4]] == [
        "  10.244.1.10       ->  10.244.2.10",
        "  fd00:10:244:1::a  ->  fd00:10:244:2::a",
    ]
