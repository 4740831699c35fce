"""Every manner in which HTTP/1.1 exchanges messages: each message is measured, or counted by name.

A tape on the devices says what passed; the probes' counts and what they sent must agree with it to the last packet.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from testbed.topology import CATALOG, FRONTEND
from tests.soak import scale
from tests.testbed.accounts import check_accounts
from tests.testbed.bench import Bench, opened_bench
from tests.testbed.chosen_numbers import connected_from
from tests.testbed.talk import (
    Connection,
    Message,
    connect,
    connected,
    listening,
    make_interim,
    make_request,
    make_response,
    route_by_service,
    route_directly,
)

pytestmark = pytest.mark.testbed

EXCHANGES = 101
MANY = 1009
PORT = 23456
NO_EXCHANGE = "response_no_exchange"
TLS = b"\x16\x03\x01\x00\x2e" + bytes(46)
"""A handshake record (RFC 8446 section 5.1)."""

PART = b"x" * 700
TO_CATALOG = route_directly(FRONTEND.namespace, CATALOG.namespace, CATALOG.address)

Told = list[Message]


@dataclass(frozen=True)
class Older:
    """Probes, and a connection whose request had been sent before they were there."""

    bench: Bench
    connection: Connection
    request: Message


@pytest.fixture(scope="module")
def older(two_nodes_vxlan: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Older]:
    """Hold a connection that waits for its answer, then probes, tape and sink."""
    del two_nodes_vxlan
    with connected(route_by_service()) as (connection,):
        request = make_request()
        connection.send(request)
        with opened_bench(tmp_path_factory.mktemp("exchanges")) as bench:
            yield Older(bench, connection, request)


def test_connection_older_than_the_probe(older: Older) -> None:
    """An answer to a request that nobody saw is counted; all that follows on the same connection is measured."""

    def story() -> Told:
        late = make_response(older.request, reason=NO_EXCHANGE)
        older.connection.send(late)
        return [late, *ask_in_turn(older.connection)]

    check_accounts(older.bench.run(story))


def ask_in_turn(connection: Connection, number: int = EXCHANGES) -> Told:
    """Send requests, each answered before the next."""
    told: Told = []
    for _ in range(scale(number)):
        request = make_request()
        response = make_response(request)
        connection.exchange(request, response)
        told += [request, response]
    return told


def keep_alive(connection: Connection) -> Told:
    """Send many requests on the one connection."""
    return ask_in_turn(connection, MANY)


def wait_for_continue(connection: Connection) -> Told:
    """Send a body only after `100 Continue` (RFC 9110 section 10.1.1)."""
    request = make_request("POST", headers=("Expect: 100-continue", f"Content-Length: {len(PART)}"))
    interim, response = make_interim(request, 100), make_response(request)
    connection.exchange(request, interim)
    connection.feed("request", PART)
    connection.send(response)
    return [request, interim, response]


def hint_early(connection: Connection) -> Told:
    """Answer with several interim responses before the final one."""
    request = make_request()
    interims = [make_interim(request, status) for status in (102, 103, 103)]
    response = make_response(request)
    connection.exchange(request, *interims, response)
    return [request, *interims, response]


def refuse_early(connection: Connection) -> Told:
    """Answer while the request's body is still on its way."""
    request = make_request("POST", headers=(f"Content-Length: {4 * len(PART)}",))
    response = make_response(request, 413)
    connection.send(request)
    connection.feed("request", PART)
    connection.write(response)
    for _ in range(3):
        connection.feed("request", PART)
    connection.read(response)
    return [request, response]


def answer_while_asked(connection: Connection) -> Told:
    """Let both bodies flow at once, part by part."""
    size = f"Content-Length: {4 * len(PART)}"
    request = make_request("POST", headers=(size,))
    response = make_response(request, headers=(size,), body=b"")
    connection.exchange(request, response)
    for _ in range(4):
        connection.feed("request", PART)
        connection.feed("response", PART)
    return [request, response]


def pipeline(connection: Connection) -> Told:
    """Send five requests, each by itself, before the first is answered: only the first has an answer of its own."""
    first = make_request()
    others = [make_request(reason="request_pipelined") for _ in range(4)]
    answers = [make_response(first), *(make_response(request, reason=NO_EXCHANGE) for request in others)]
    for message in (first, *others, *answers):
        connection.send(message)
    return [first, *others, *answers]


def ask_for_head(connection: Connection) -> Told:
    """Answer HEAD with the length of a body that does not come."""
    request = make_request("HEAD")
    response = make_response(request, headers=("Content-Length: 5000",), body=b"")
    connection.exchange(request, response)
    return [request, response]


def ask_untraced(connection: Connection) -> Told:
    """Send requests that are not to be measured."""
    told: Told = []
    unsampled = f"traceparent: 00-{'1' * 32}-{'2' * 16}-00"
    for headers, reason in (((), "request_no_context"), ((unsampled,), "request_unsampled")):
        request = make_request(headers=headers, context=False, reason=reason)
        response = make_response(request, reason=NO_EXCHANGE)
        connection.exchange(request, response)
        told += [request, response]
    return told


STORIES = [
    wait_for_continue,
    hint_early,
    refuse_early,
    answer_while_asked,
    pipeline,
    ask_for_head,
    ask_untraced,
]


def test_keep_alive(older: Older) -> None:
    """A thousand requests on one connection are a thousand exchanges."""
    with connected(route_by_service()) as (connection,):
        check_accounts(older.bench.run(lambda: keep_alive(connection)))


@pytest.mark.parametrize("tell", STORIES, ids=lambda tell: tell.__name__)
def test_exchange_amid_others(older: Older, tell: Callable[[Connection], Told]) -> None:
    """However an exchange goes, each of its messages is accounted for, and the next on the connection is measured."""

    def story() -> Told:
        told: Told = []
        for _ in range(scale(EXCHANGES)):
            told += tell(connection)
            told += ask_in_turn(connection, 1)
        return told

    with connected(route_by_service()) as (connection,):
        check_accounts(older.bench.run(story))


def test_tunnel_through_a_proxy(older: Older) -> None:
    """CONNECT and its answer are an exchange; what looks like TLS behind it is counted as that, by each node."""

    def story() -> Told:
        told: Told = []
        for connection in connections:
            request = make_request("CONNECT")
            response = make_response(request, headers=(), body=b"")
            connection.exchange(request, response)
            connection.feed("request", TLS)
            connection.feed("response", TLS)
            told += [request, response]
        return told

    number = scale(EXCHANGES)
    with connected(route_by_service(), number) as connections:
        accounts = older.bench.run(story)
    check_accounts(accounts, {name: {"tls_segments": 2 * number} for name in accounts})


def test_client_port_is_used_again(older: Older) -> None:
    """Connection after connection from one port, and two at once to two servers: no exchange is taken for another."""

    def story() -> Told:
        told: Told = []
        with listening(route_by_service()) as cart, listening(TO_CATALOG) as catalog:
            for _ in range(scale(EXCHANGES)):
                pair = [connect(route_by_service(), cart, PORT), connect(TO_CATALOG, catalog, PORT)]
                told += [message for connection in pair for message in ask_in_turn(connection, 2)]
                requests = [make_request() for _ in pair]
                responses = [make_response(request) for request in requests]
                for messages in (requests, responses):
                    for connection, message in zip(pair, messages, strict=True):
                        connection.send(message)
                told += [*requests, *responses]
                for connection in pair:
                    connection.abort()
        return told

    check_accounts(older.bench.run(story))


def test_sequence_numbers_wrap(older: Older) -> None:
    """Where the numbers of either side pass 2^32, within a message or at its first byte, nothing changes."""

    def story() -> Told:
        told: Told = []
        for before in range(scale(EXCHANGES)):
            # From none to some 200 bytes before the wrap, which is two requests, or five responses.
            with connected_from(-before * 2, PORT + before, by_server=bool(before % 2)) as connection:
                told += ask_in_turn(connection, 6)
        return told

    check_accounts(older.bench.run(story))
