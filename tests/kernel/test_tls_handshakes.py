"""Handshakes of the real thing: which bursts are the first messages, and which are tickets or end a handshake."""

import contextlib

import pytest

from node_probe.kept_entries import TICKET_SPREAD
from node_probe.kernel_burst import Burst, BurstKind, BurstPlace
from tests.kernel.bpf_harness import Harness
from tests.kernel.tls_handshakes import VERSIONS, Certificates, Talk, make_context
from tests.kernel.tls_talk import SERVER_PORT, TlsConnection, count_flows, read_bursts

pytestmark = pytest.mark.bpf

REQUEST = b"GET /cart HTTP/1.1\r\nhost: cart\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"

OVERHEAD = {"TLS 1.2": 24, "TLS 1.3": 17}
"""Bytes that AES-GCM adds to a record's text: a nonce and a tag, or the true type and a tag."""

TICKETS = 2
"""As many as OpenSSL sends behind a handshake of TLS 1.3."""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("handshakes"))


def open_talk(
    flows: Harness,
    port: int,
    certificates: Certificates,
    version: str,
    *,
    mutual: bool = False,
    compatible: bool = True,
    tickets: int = TICKETS,
) -> Talk:
    """Return a connection whose handshake went by; the server's tickets are still to come."""
    ours = certificates.client if mutual else None
    client = make_context(certificates, ours, version, server=False, compatible=compatible)
    server = make_context(certificates, certificates.server, version, server=True, compatible=compatible)
    server.num_tickets = tickets
    if mutual:
        server.verify_mode = client.verify_mode
    talk = Talk(TlsConnection(flows, port), client, server)
    talk.shake_hands()
    return talk


def split(bursts: list[Burst]) -> tuple[list[Burst], list[Burst]]:
    """Return the client's, and the server's."""
    of_server = [burst for burst in bursts if burst.source_port == SERVER_PORT]
    return [burst for burst in bursts if burst not in of_server], of_server


@pytest.mark.parametrize("mutual", [False, True], ids=["server alone", "both have certificates"])
@pytest.mark.parametrize("version", VERSIONS)
def test_first_request_begins_a_burst(
    flows: Harness,
    port: int,
    certificates: Certificates,
    version: str,
    mutual: bool,  # noqa: FBT001
) -> None:
    """It acknowledges what the end of the handshake did; nothing of the handshake is a message."""
    talk = open_talk(flows, port, certificates, version, mutual=mutual)
    assert read_bursts(flows) == []
    first = talk.connection.client_seq
    talk.ask(REQUEST)
    (request,) = read_bursts(flows)
    assert (request.kind, request.number, request.seq) == (BurstKind.START, 1, first)
    assert request.place
    assert request.records == (len(REQUEST) + OVERHEAD[version],)
    assert 0 < request.previous_last_ns < request.stamps[0].monotonic_ns
    assert count_flows(flows) == {"tls_flow": 1}


@pytest.mark.parametrize("mutual", [False, True], ids=["server alone", "both have certificates"])
@pytest.mark.parametrize("version", VERSIONS)
def test_exchanges_behind_the_first(
    flows: Harness,
    port: int,
    certificates: Certificates,
    version: str,
    mutual: bool,  # noqa: FBT001
) -> None:
    """Each later request and response is one burst, unmarked, with what was written in its record."""
    talk = open_talk(flows, port, certificates, version, mutual=mutual)
    for _ in range(7):
        talk.ask(REQUEST)
        talk.answer(RESPONSE)
        assert talk.client.read()
    requests, responses = split(read_bursts(flows))
    assert [burst.number for burst in requests] == list(range(1, 8))
    assert [burst.number for burst in responses] == list(range(1, 8))
    for burst in (*requests[2:], *responses[1:]):
        assert not burst.place
    for burst in responses[1:]:
        assert burst.records == (len(RESPONSE) + OVERHEAD[version],)
    assert count_flows(flows) == {"tls_flow": 14}


@pytest.mark.parametrize("version", VERSIONS)
def test_first_response_tells_whether_tickets_may_be_data(
    flows: Harness, port: int, certificates: Certificates, version: str
) -> None:
    """Behind a handshake of TLS 1.2 there are none, and the server's change of cipher says that it was one."""
    talk = open_talk(flows, port, certificates, version)
    talk.ask(REQUEST)
    talk.answer(RESPONSE)
    _, (response,) = split(read_bursts(flows))
    assert response.place
    assert (response.place is BurstPlace.BEHIND_HANDSHAKE_1_2) == (version == "TLS 1.2")


def test_tickets_that_come_alone_are_a_marked_burst(flows: Harness, port: int, certificates: Certificates) -> None:
    """A server of TLS 1.3 sends two tickets of one length; the response is a burst of its own behind them."""
    talk = open_talk(flows, port, certificates, "TLS 1.3")
    talk.say(talk.server)
    talk.ask(REQUEST)
    talk.answer(RESPONSE)
    _, (tickets, response) = split(read_bursts(flows))
    assert tickets.place
    assert len(tickets.records) == TICKETS
    assert max(tickets.records) - min(tickets.records) <= TICKET_SPREAD
    assert not response.place
    assert response.records == (len(RESPONSE) + OVERHEAD["TLS 1.3"],)
    assert (tickets.number, response.number, response.previous_followers) == (1, 2, 0)


def test_tickets_before_the_response_in_its_segment(flows: Harness, port: int, certificates: Certificates) -> None:
    """Where the server sends both at once, a record of another length begins in the marked burst."""
    talk = open_talk(flows, port, certificates, "TLS 1.3")
    talk.ask(REQUEST)
    talk.answer(RESPONSE)
    _, (response,) = split(read_bursts(flows))
    assert response.place
    assert response.records[TICKETS:] == (len(RESPONSE) + OVERHEAD["TLS 1.3"],)
    assert len(set(response.records)) == 2


def test_tickets_and_response_that_acknowledge_the_same(
    flows: Harness, port: int, certificates: Certificates
) -> None:
    """The response follows in the burst that the tickets began, which is told."""
    talk = open_talk(flows, port, certificates, "TLS 1.3")
    talk.ask(REQUEST)
    talk.say(talk.server)
    talk.answer(RESPONSE)
    _, (tickets, response) = split(read_bursts(flows))
    assert (tickets.kind, response.kind) == (BurstKind.START, BurstKind.FOLLOWER)
    assert tickets.place
    assert response.records == (len(RESPONSE) + OVERHEAD["TLS 1.3"],)
    assert response.seq == tickets.seq


def test_server_without_tickets(flows: Harness, port: int, certificates: Certificates) -> None:
    """Its first burst is the response, in one record."""
    talk = open_talk(flows, port, certificates, "TLS 1.3", tickets=0)
    talk.ask(REQUEST)
    talk.answer(RESPONSE)
    _, (response,) = split(read_bursts(flows))
    assert response.records == (len(RESPONSE) + OVERHEAD["TLS 1.3"],)
    assert response.place


def test_client_that_changes_no_cipher(flows: Harness, port: int, certificates: Certificates) -> None:
    """What ends its handshake looks like data: that is the marked burst, and the first request is told to follow."""
    talk = open_talk(flows, port, certificates, "TLS 1.3", compatible=False)
    ended = talk.connection.client_seq
    talk.ask(REQUEST)
    talk.answer(RESPONSE)
    assert talk.client.read()
    second = talk.connection.client_seq
    talk.ask(REQUEST)
    (finished, request, later), _ = split(read_bursts(flows))
    assert (finished.kind, request.kind, later.kind) == (BurstKind.START, BurstKind.FOLLOWER, BurstKind.START)
    assert finished.place
    assert finished.seq == request.seq == ended - len(finished.records) * 5 - sum(finished.records)
    assert (later.seq, later.place, later.previous_followers) == (second, BurstPlace.AMID, 1)


def test_sessions_that_are_resumed(flows: Harness, port: int, certificates: Certificates) -> None:
    """A ticket that is used leaves the certificates out, and the first request begins a burst all the same."""
    client = make_context(certificates, None, "TLS 1.3", server=False)
    server = make_context(certificates, certificates.server, "TLS 1.3", server=True)
    first = Talk(TlsConnection(flows, port), client, server)
    first.shake_hands()
    first.ask(REQUEST)
    first.answer(RESPONSE)
    assert first.client.read()
    read_bursts(flows)
    again = Talk(TlsConnection(flows, port, seq=5_000_000, ack=6_000_000), client, server)
    again.client.tls.session = first.client.tls.session
    again.shake_hands()
    assert again.client.tls.session_reused
    begun = again.connection.client_seq
    again.ask(REQUEST)
    (request,) = read_bursts(flows)
    assert (request.seq, request.number, bool(request.place)) == (begun, 2, True)


@pytest.mark.parametrize("version", VERSIONS)
def test_end_of_a_connection_is_no_message(
    flows: Harness, port: int, certificates: Certificates, version: str
) -> None:
    """close_notify, which has a type of its own in TLS 1.2 and is 19 bytes of data in TLS 1.3."""
    talk = open_talk(flows, port, certificates, version)
    talk.ask(REQUEST)
    talk.answer(RESPONSE)
    assert talk.client.read()
    read_bursts(flows)
    for side in (talk.client, talk.server):
        with contextlib.suppress(OSError):
            side.tls.unwrap()
        assert talk.say(side)
    assert read_bursts(flows) == []
