"""Bytes that look like a message and are none, and messages that begin no segment: neither may be guessed at."""

from collections.abc import Callable, Iterator, Mapping

import pytest

from tests.soak import scale
from tests.testbed.accounts import check_accounts
from tests.testbed.bench import Bench, opened_bench
from tests.testbed.talk import (
    Connection,
    Message,
    connected,
    make_interim,
    make_request,
    make_response,
    route_by_service,
)

pytestmark = pytest.mark.testbed

EXCHANGES = 53
UPGRADE = ("Connection: Upgrade", "Upgrade: echo")
NO_EXCHANGE = "response_no_exchange"
FIRST_PART = b"The body begins here, and goes on in the next segment.\n"

Told = list[Message]
Tell = Callable[[Connection], Told]


@pytest.fixture(scope="module")
def bench(two_nodes_vxlan: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Hold probes, tape and sink."""
    del two_nodes_vxlan
    with opened_bench(tmp_path_factory.mktemp("lookalikes")) as bench:
        yield bench


def post_request_alike(connection: Connection, *, context: bool = True) -> Told:
    """Post a body whose second segment is a whole request with a sampled context."""
    decoy = make_request().data
    reasons = ("", "") if context else ("request_no_context", NO_EXCHANGE)
    length = f"Content-Length: {len(FIRST_PART + decoy)}"
    request = make_request("POST", headers=(length,), context=context, reason=reasons[0])
    response = make_response(request, reason=reasons[1])
    connection.send(request)
    connection.feed("request", FIRST_PART)
    connection.feed("request", decoy)
    connection.send(response)
    return [request, response]


def post_request_alike_untraced(connection: Connection) -> Told:
    """Post such a body with a request that has no context itself."""
    return post_request_alike(connection, context=False)


def post_request_alike_refused(connection: Connection, length: str = "Content-Length: {}", end: bytes = b"") -> Told:
    """Go on with such a body when the answer is already there, and then with the next request."""
    decoy = make_request().data
    request = make_request("POST", headers=(length.format(len(decoy)),))
    response = make_response(request, 413)
    after = make_request()
    answer = make_response(after)
    connection.exchange(request, response)
    connection.feed("request", decoy)
    if end:
        connection.feed("request", end)
    connection.exchange(after, answer)
    return [request, response, after, answer]


def post_request_alike_refused_in_chunks(connection: Connection) -> Told:
    """Go on so with a body whose length nobody knows: with what is cut out of a chunk, and the last one."""
    return post_request_alike_refused(connection, "Transfer-Encoding: chunked", b"\r\n0\r\n\r\n")


def answer_request_alike(connection: Connection, *, context: bool = True) -> Told:
    """Answer with a body whose second segment is a whole request with a sampled context."""
    decoy = make_request().data
    reasons = ("", "") if context else ("request_no_context", NO_EXCHANGE)
    length = f"Content-Length: {len(decoy)}"
    request = make_request(context=context, reason=reasons[0])
    response = make_response(request, headers=(length,), body=b"", reason=reasons[1])
    connection.exchange(request, response)
    connection.feed("response", decoy)
    return [request, response]


def answer_request_alike_untraced(connection: Connection) -> Told:
    """Answer so where the request has no context itself."""
    return answer_request_alike(connection, context=False)


def upgrade_to_requests_alike(connection: Connection) -> Told:
    """Leave HTTP by `101`, and speak a protocol whose messages look like requests and responses."""
    request = make_request(headers=UPGRADE)
    response = make_response(request, 101, headers=UPGRADE, body=b"")
    connection.exchange(request, response)
    connection.feed("request", make_request().data)
    connection.feed("response", make_response(request).data)
    return [request, response]


def upgrade(connection: Connection) -> Told:
    """Leave HTTP by `101`, the last response that there is on the connection (RFC 9110 section 15.2.2)."""
    request = make_request(headers=UPGRADE)
    response = make_response(request, 101, headers=UPGRADE, body=b"")
    connection.exchange(request, response)
    connection.feed("request", b"\x81\x85 no HTTP any more")
    connection.feed("response", b"\x81\x05 nor here")
    return [request, response]


def pipeline_in_one_segment(connection: Connection) -> Told:
    """Send three requests in one write, before the first is answered: those behind it are counted as one."""
    first = make_request()
    others = [make_request(reason="request_pipelined") for _ in range(2)]
    answers = [make_response(first), *(make_response(request, reason=NO_EXCHANGE) for request in others)]
    connection.send(first, *others)
    for answer in answers:
        connection.send(answer)
    return [first, *others, *answers]


def hint_in_one_segment(connection: Connection) -> Told:
    """Send `103 Early Hints` and the final response in one write: their segment is the final one's."""
    request = make_request()
    interim, response = make_interim(request, 103), make_response(request)
    connection.send(request)
    connection.send(interim, response)
    return [request, interim, response]


ALIKE = {"request_pipelined": EXCHANGES}
"""A segment that begins like a traced request while another message goes on is counted, once on each node."""


@pytest.mark.parametrize(
    ("tell", "decoys"),
    [
        (post_request_alike_untraced, ALIKE),
        (post_request_alike_refused, ALIKE),
        (post_request_alike_refused_in_chunks, ALIKE),
        (answer_request_alike, ALIKE),
        (answer_request_alike_untraced, ALIKE),
        (upgrade_to_requests_alike, ALIKE | {NO_EXCHANGE: EXCHANGES}),
        (upgrade, {}),
        (pipeline_in_one_segment, {}),
        (hint_in_one_segment, {}),
    ],
)
def test_nothing_is_taken_for_what_it_is_not(bench: Bench, tell: Tell, decoys: Mapping[str, int]) -> None:
    """Each message of the story is a transit or a count, each decoy is counted, and nothing else is."""
    with connected(route_by_service(), scale(EXCHANGES)) as connections:
        accounts = bench.run(lambda: [message for connection in connections for message in tell(connection)])
    counted = {reason: scale(number) for reason, number in decoys.items()}
    check_accounts(accounts, dict.fromkeys(accounts, counted))


def answer_response_alike(connection: Connection) -> Told:
    """Answer with a body whose second segment is a whole response."""
    request = make_request()
    decoy = make_response(request).data
    response = make_response(request, headers=(f"Content-Length: {len(decoy)}",), body=b"")
    connection.exchange(request, response)
    connection.feed("response", decoy)
    return [request, response]


@pytest.mark.parametrize(
    ("tell", "reason"), [(post_request_alike, "request_pipelined"), (answer_response_alike, NO_EXCHANGE)]
)
def test_lookalike_is_counted_and_not_measured(bench: Bench, tell: Tell, reason: str) -> None:
    """In the body of a traced exchange, what looks like a further message is a count at each first point, no more."""
    number = scale(EXCHANGES)
    with connected(route_by_service(), number) as connections:
        accounts = bench.run(lambda: [message for connection in connections for message in tell(connection)])
    check_accounts(accounts, {name: {reason: number} for name in accounts})
