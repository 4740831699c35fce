"""What bounds messages of TLS: the table of directions and the rate; and what is none, whatever it begins with."""

import random
from collections.abc import Iterator
from contextlib import closing

import pytest

from node_probe.tables import TABLES, count_used
from node_probe.transit import ContextFormat
from tests.compiled.loaded import loaded_programs
from tests.kernel.bpf_harness import Harness
from tests.kernel.http2_blocks import GO, Encoder, traced
from tests.kernel.http2_frames import PREFACE, headers, settings
from tests.kernel.packets import request, response, traced_request
from tests.kernel.tls_talk import (
    HANDSHAKE,
    TlsConnection,
    count_flows,
    read_bursts,
    record,
    records,
)
from tests.requirements import require_bcc, require_root
from tests.soak import scale

pytestmark = pytest.mark.bpf


def test_rate_limit(flows: Harness, port: int) -> None:
    """Beyond the limit of the sender no transit is started; the numbers show that something is missing."""
    flows.configure(rate_limit=23)
    connection = TlsConnection(flows, port).shake_hands()
    for _ in range(101):
        connection.ask(records(100), "veth_ingress_first", "pod_ingress")
        connection.server_seq += 205
    counts = flows.counts()
    # The window of a second may have begun with an earlier test's packets, or end within this one.
    assert counts["transits_started"] + counts["rate_limited"] == counts["tls_flow"] == 101
    assert 1 <= counts["transits_started"] <= 46
    flows.configure()
    connection.ask(records(100))
    bursts = read_bursts(flows)
    assert len(bursts) == counts["transits_started"] + 1
    assert bursts[-1].number == 102


def test_follower_of_what_was_not_handed_out_is_not_told(flows: Harness, port: int) -> None:
    """Of a burst beyond the limit nothing leaves the kernel."""
    flows.configure(rate_limit=1)
    connection = TlsConnection(flows, port, client="10.244.1.77").shake_hands()
    for _ in range(23):
        connection.ask(records(100), "nic_ingress")
        connection.ask(records(50), "nic_ingress")
        connection.server_seq += 205
    counts = flows.counts()
    assert 1 <= counts["flow_followed"] == counts["transits_started"] <= 2
    assert counts["rate_limited"] == 23 - counts["transits_started"]


@pytest.mark.parametrize(
    "payload",
    [
        b"\x17\x03\x03\x00\x00",
        b"\x17\x03\x03\x41\x01" + bytes(100),
        b"\x17\x03\x05\x00\x20" + bytes(32),
        b"\x17\x03\x03",
        b"\x17\x02\x03\x00\x20" + bytes(32),
        b"\x18\x03\x03\x00\x20" + bytes(32),
        record(50, HANDSHAKE, minor=9),
    ],
    ids=["no bytes", "too many bytes", "version 3.5", "cut", "version 2", "heartbeat", "handshake of version 3.9"],
)
def test_what_is_no_record_begins_nothing(flows: Harness, port: int, payload: bytes) -> None:
    """A head has to be one to the last bit, and its length one that is allowed."""
    connection = TlsConnection(flows, port).shake_hands()
    connection.ask(payload)
    connection.ask(records(100))
    (burst,) = read_bursts(flows)
    assert burst.records == (100,)
    assert count_flows(flows) == {"tls_flow": 1}


def test_random_bytes_begin_nothing(flows: Harness, port: int) -> None:
    """Of thousands of random payloads, half of which begin like a record, none is a message."""
    dice = random.Random(20261130)  # noqa: S311 - the same bytes every time
    connection = TlsConnection(flows, port)
    for _ in range(scale(3000)):
        payload = dice.randbytes(dice.randrange(4, 200))
        if dice.randrange(2):
            payload = bytes([dice.choice([20, 22, 23]), 3]) + b"\x07" + payload
        if dice.randrange(2):
            connection.ask(payload)
        else:
            connection.answer(payload)
    assert read_bursts(flows) == []
    assert count_flows(flows).keys().isdisjoint({"tls_flow", "flow_unknown", "flow_followed"})


def test_other_protocols_are_as_ever(flows: Harness, port: int) -> None:
    """HTTP/1 and HTTP/2 leave their records, and none of TLS."""
    frame = request(traced_request(), client_port=port)
    flows.watch("pod_egress", frame)
    flows.watch("pod_ingress", frame)
    back = response(client_port=port)
    flows.watch("nic_ingress", back)
    flows.watch("pod_ingress", back)
    call = PREFACE + settings() + headers(Encoder(GO).encode(traced()), 1)
    frame = request(call, client_port=port, seq=900_000)
    flows.watch("pod_egress", frame)
    flows.watch("pod_ingress", frame)
    assert len(flows.read_transits()) == 3
    assert count_flows(flows).keys().isdisjoint({"tls_flow", "flow_unknown", "flow_followed"})


def test_body_that_looks_like_a_record_stays_a_body(flows: Harness, port: int) -> None:
    """A chunk that begins with a record's head is awaited as the rest of its body, and is no message."""
    begun = b"POST / HTTP/1.1\r\nhost: cart\r\ntransfer-encoding: chunked\r\n\r\n5000\r\n"
    connection = TlsConnection(flows, port)
    connection.ask(begun, "pod_egress")
    connection.ask(records(100), "pod_egress")
    assert count_flows(flows).keys().isdisjoint({"tls_flow", "flow_unknown"})


@pytest.fixture
def crowded() -> Iterator[Harness]:
    """Return programs with a table of their own: a full one would be met in other tests."""
    require_root()
    require_bcc()
    with loaded_programs([ContextFormat.FLOW]) as fds, closing(Harness(fds)) as harness:
        yield harness


def test_direction_that_gives_way_is_unknown(crowded: Harness) -> None:
    """More directions than the table holds: those that give way are counted, and begin anew with another number."""
    table = TABLES["directions"]
    servers = [f"10.{96 + number // 60_000}.0.20" for number in range(2 * table.size)]
    first = TlsConnection(crowded, 1000).shake_hands()
    first.ask(records(100))
    (before,) = read_bursts(crowded)
    sent = 0
    for number, server in enumerate(servers):
        TlsConnection(crowded, 2000 + number % 60_000, server=server).ask(records(100), "pod_egress")
        sent += 1
    counts = count_flows(crowded)
    used = count_used(crowded.map(table.tags, table.set_bytes))
    assert used <= table.size
    assert counts["flow_unknown"] == sent
    assert counts["flow_map_full"] == 2 + sent - used
    crowded.forget_counts()
    first.ask(records(100))
    first.answer(records(200))
    first.ask(records(100))
    assert count_flows(crowded)["flow_unknown"] == 2
    (after,) = read_bursts(crowded)
    assert (after.source_port, after.number) != (1000, before.number + 1)
