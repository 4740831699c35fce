"""Where a message of TLS begins: the first record behind a payload of the other side, told by one direction alone."""

import itertools

import pytest

from node_probe.kernel_burst import BurstKind
from node_probe.transit import TransitFlag
from tests.kernel.bpf_harness import Harness
from tests.kernel.packets import ACK, LATER_TIMESTAMPS, SEQ, TIMESTAMPS, TSVAL
from tests.kernel.tls_talk import (
    ALERT,
    CLIENT_HELLO,
    SERVER_PORT,
    TlsConnection,
    count_flows,
    hello,
    read_bursts,
    record,
    records,
)

pytestmark = pytest.mark.bpf

START, FOLLOWER = BurstKind.START, BurstKind.FOLLOWER


def test_request_and_response(flows: Harness, port: int) -> None:
    """Both begin a burst, which says what the segment holds and what it acknowledges."""
    connection = TlsConnection(flows, port).shake_hands()
    asked, acknowledged = connection.ask(records(100, 30)), connection.server_seq
    answered = connection.answer(records(200))
    request, response = read_bursts(flows)
    assert (request.kind, request.number, bool(request.place)) == (START, 1, True)
    assert (request.seq, request.ack, request.tsval) == (asked, acknowledged, TSVAL)
    assert (request.records, request.payload_length) == ((100, 30), 140)
    assert (request.source_port, request.destination_port) == (port, SERVER_PORT)
    assert request.flags == response.flags == TransitFlag.TLS
    assert (response.kind, response.seq, response.ack) == (START, answered, (asked + 140) % 2**32)
    assert (response.source_port, response.destination_port) == (SERVER_PORT, port)
    assert count_flows(flows) == {"tls_flow": 2}


def test_each_message_of_a_connection_has_a_number(flows: Harness, port: int) -> None:
    """Hundreds of exchanges on one connection, whose numbers go round: each is one more burst, in each direction."""
    connection = TlsConnection(flows, port, seq=2**32 - 23 * 105, ack=2**32 - 31 * 205).shake_hands()
    rounds = 211
    connection.talk(rounds)
    bursts = read_bursts(flows)
    requests = [burst for burst in bursts if burst.source_port == port]
    responses = [burst for burst in bursts if burst.source_port == SERVER_PORT]
    for direction in (requests, responses):
        assert [burst.number for burst in direction] == list(range(1, rounds + 1))
        assert {burst.kind for burst in direction} == {START}
        for before, burst in itertools.pairwise(direction):
            assert 0 <= before.stamps[0].monotonic_ns - burst.previous_last_ns < 10**9
            assert burst.previous_followers == 0
    assert count_flows(flows) == {"tls_flow": 2 * rounds}


def test_what_follows_in_a_burst_is_told_once(flows: Harness, port: int) -> None:
    """A second request may have been sent before the first was answered: nothing is measured, but it is told."""
    connection = TlsConnection(flows, port).shake_hands()
    first = connection.ask(records(100))
    second = connection.ask(records(50, 60))
    connection.ask(records(70))
    connection.answer(records(200))
    third = connection.ask(records(80))
    start, follower, _, later = read_bursts(flows)
    assert (start.seq, follower.seq, later.seq) == (first, first, third)
    assert (start.number, follower.number, later.number) == (1, 1, 2)
    assert (start.kind, follower.kind, later.kind) == (START, FOLLOWER, START)
    assert (follower.records, follower.payload_length, follower.tsval) == ((50, 60), 120, TSVAL)
    assert len(follower.stamps) == 1
    assert start.stamps[0].monotonic_ns < follower.stamps[0].monotonic_ns < later.stamps[0].monotonic_ns
    assert (follower.previous_followers, later.previous_followers) == (0, 2)
    assert follower.stamps[0].monotonic_ns < later.previous_last_ns < later.stamps[0].monotonic_ns
    assert second == first + 105
    assert count_flows(flows) == {"tls_flow": 3, "flow_followed": 1}


def test_rest_of_a_record_is_nothing(flows: Harness, port: int) -> None:
    """A large body goes on in segments that begin inside its records: the next message is still in sight."""
    connection = TlsConnection(flows, port).shake_hands()
    body = records(100, 16384, 16384)
    connection.ask(body[:1448])
    for at in range(1448, len(body), 1448):
        connection.ask(body[at : at + 1448])
    connection.answer(records(200))
    connection.ask(records(80))
    start, _, later = read_bursts(flows)
    assert (start.records, start.payload_length) == ((100, 16384), 1448)
    assert later.previous_followers == 0
    assert later.previous_last_ns > start.stamps[0].monotonic_ns  # of the third record nothing was seen
    assert count_flows(flows) == {"tls_flow": 3}


def test_body_of_one_record_hides_nothing(flows: Harness, port: int) -> None:
    """What is known of a record's length tells that no other began in the segments behind it."""
    connection = TlsConnection(flows, port).shake_hands()
    body = records(16384)
    for at in range(0, len(body), 1448):
        connection.ask(body[at : at + 1448])
    connection.answer(records(200))
    connection.ask(records(80))
    start, _, later = read_bursts(flows)
    assert later.previous_last_ns <= start.stamps[0].monotonic_ns


@pytest.mark.parametrize("hidden", [records(1, 2, 3, 4, 5), records(40) + record(9)[:3]], ids=["many", "cut head"])
def test_records_that_are_not_seen_may_begin_any_time(flows: Harness, port: int, hidden: bytes) -> None:
    """Behind more than four records, or where a head is cut, the last may have begun just before the next burst."""
    connection = TlsConnection(flows, port).shake_hands()
    connection.ask(hidden)
    connection.client_seq = (connection.client_seq + 11) % 2**32
    connection.answer(records(200))
    connection.ask(records(80))
    start, response, later = read_bursts(flows)
    assert start.records == ((1, 2, 3, 4) if hidden[4] == 1 else (40,))
    assert response.stamps[-1].monotonic_ns < later.previous_last_ns < later.stamps[0].monotonic_ns


def test_retransmission_is_an_attempt(flows: Harness, port: int) -> None:
    """It has another timestamp, so it is a transit again, with the same number, whatever it acknowledges by then."""
    connection = TlsConnection(flows, port).shake_hands()
    first = connection.ask(records(100))
    connection.ask(records(100), seq=first, options=LATER_TIMESTAMPS)
    connection.answer(records(200))
    connection.ask(records(100), seq=first)
    connection.ask(records(90))
    start, again, _, late, later = read_bursts(flows)
    assert [burst.seq for burst in (start, again, late)] == [first] * 3
    assert [burst.number for burst in (start, again, late, later)] == [1, 1, 1, 2]
    assert [burst.tsval for burst in (start, again, late)] == [TSVAL, TSVAL + 200, TSVAL]
    assert [burst.previous_last_ns for burst in (again, late)] == [start.previous_last_ns] * 2
    assert all(burst.place for burst in (start, again, late))
    assert count_flows(flows) == {"tls_flow": 5}


@pytest.mark.parametrize("options", [b"", TIMESTAMPS], ids=["without timestamps", "within one tick"])
def test_repetition_is_counted(flows: Harness, port: int, options: bytes) -> None:
    """What cannot be told from the first sending is no second transit."""
    connection = TlsConnection(flows, port).shake_hands()
    first = connection.ask(records(100), options=options)
    connection.ask(records(100), seq=first, options=options)
    assert [burst.seq for burst in read_bursts(flows)] == [first]
    assert count_flows(flows) == {"tls_flow": 1, "repeated": 1}


def test_what_is_sent_again_later_begins_nothing(flows: Harness, port: int) -> None:
    """A follower that is sent again acknowledges the answer by then, and is in its old place all the same."""
    connection = TlsConnection(flows, port).shake_hands()
    connection.ask(records(100))
    follower = connection.ask(records(50))
    connection.answer(records(200))
    connection.ask(records(50), seq=follower, options=LATER_TIMESTAMPS)
    connection.ask(records(90))
    bursts = [burst for burst in read_bursts(flows) if burst.source_port == port]
    assert [(burst.kind, burst.number) for burst in bursts] == [(START, 1), (FOLLOWER, 1), (START, 2)]
    assert bursts[-1].previous_followers == 2


def test_late_start_is_told(flows: Harness, port: int) -> None:
    """Where the network turned two segments round, the second looks like the start; that something came is told."""
    connection = TlsConnection(flows, port).shake_hands()
    connection.talk()
    first, second = records(100), records(50)
    start = connection.server_seq
    connection.ask(records(100))
    read_bursts(flows)
    connection.server_seq += len(first)
    connection.answer(second)
    connection.answer(first, seq=start)
    taken, told = read_bursts(flows)
    assert (taken.kind, taken.seq) == (START, start + len(first))
    assert (told.kind, told.seq, told.records) == (FOLLOWER, taken.seq, (100,))
    assert taken.previous_last_ns > taken.stamps[0].monotonic_ns - 10**9
    assert count_flows(flows) == {"tls_flow": 4, "flow_followed": 1}


@pytest.mark.parametrize("length", [19, 22], ids=["close_notify", "KeyUpdate"])
def test_record_beside_the_messages_changes_nothing(flows: Harness, port: int, length: int) -> None:
    """Neither side's next message is judged by it, nor is it one."""
    connection = TlsConnection(flows, port).shake_hands()
    connection.talk()
    read_bursts(flows)
    connection.ask(records(length))
    connection.ask(records(100))
    connection.answer(records(length))
    connection.answer(records(200))
    request, response = read_bursts(flows)
    assert (request.records, response.records) == ((100,), (200,))
    assert request.previous_last_ns < request.stamps[0].monotonic_ns
    assert count_flows(flows) == {"tls_flow": 4}


def test_alert_of_older_versions_is_nothing(flows: Harness, port: int) -> None:
    """It has a type of its own."""
    connection = TlsConnection(flows, port).shake_hands()
    connection.ask(record(26, ALERT))
    assert read_bursts(flows) == []
    assert count_flows(flows) == {}


def test_unknown_connection_begins_with_the_second_burst(flows: Harness, port: int) -> None:
    """The first segment that is seen may lie in the middle of a message; it is counted once in each direction."""
    connection = TlsConnection(flows, port)
    connection.ask(records(100))
    connection.ask(records(30))
    connection.talk(2)
    connection.answer(records(99))
    bursts = read_bursts(flows)
    assert [burst.source_port for burst in bursts] == [port, SERVER_PORT, SERVER_PORT]
    assert count_flows(flows) == {"tls_flow": 2, "flow_unknown": 2, "flow_followed": 1}


def test_unknown_connection_is_not_begun_by_a_record_beside_the_messages(flows: Harness, port: int) -> None:
    """An update of keys says nothing of where a message is."""
    connection = TlsConnection(flows, port)
    connection.ask(records(22))
    assert count_flows(flows) == {}


def test_port_that_is_used_again(flows: Harness, port: int) -> None:
    """A new connection between the same ports begins with a hello, whatever its numbers are."""
    TlsConnection(flows, port).shake_hands().talk(3)
    read_bursts(flows)
    again = TlsConnection(flows, port, seq=SEQ - 1000, ack=ACK - 1000)
    again.shake_hands()
    again.talk()
    request, response = read_bursts(flows)
    assert (request.number, response.number) == (4, 4)
    assert request.place
    assert (request.seq, response.seq) == (SEQ - 1000 + len(hello(CLIENT_HELLO)) + 6, ACK - 1000 + len(hello(1)))
