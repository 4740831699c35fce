"""Messages that are sent again, overtaken or doubled: every sending is a transit of its own, or counted by name.

A tape on the devices says what passed; the probes' counts and what they sent must agree with it to the last packet.
"""

from collections.abc import Iterable, Iterator

import pytest

from collector_plugin.halves import MAX_TIME_NS
from collector_plugin.join import Join
from collector_plugin.join_settings import JoinSettings
from collector_plugin.span_walk import SPAN_KIND_CLIENT
from node_probe.transit import Transit, attempts_key, message_key
from node_probe.wire_batch import decode_batch, read_batch
from testbed.topology import NODE_1, NODE_2, Node
from tests.soak import scale
from tests.testbed.accounts import Account, check_accounts
from tests.testbed.bench import Bench, opened_bench
from tests.testbed.losses import BOTH_PODS, MARK, detour, losing, resending_soon, without_timestamps
from tests.testbed.talk import Connection, Message, connected, make_request, make_response, route_by_service

pytestmark = pytest.mark.testbed

CONNECTIONS = 101
NS_PER_S = 10**9
PART = b"x" * 500

Told = list[Message]


@pytest.fixture(scope="module")
def bench(two_nodes_vxlan: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Hold probes, tape and sink."""
    del two_nodes_vxlan
    with opened_bench(tmp_path_factory.mktemp("lossy")) as bench:
        yield bench


def ask_on_each(connections: list[Connection], unlucky: str) -> Told:
    """Send a request on each connection, once all are there an answer; `unlucky` is the direction that is lost."""
    requests = [make_request(headers=(MARK,) if unlucky == "request" else ()) for _ in connections]
    headers = ("Content-Length: 2", *((MARK,) if unlucky == "response" else ()))
    responses = [make_response(request, headers=headers) for request in requests]
    for messages in (requests, responses):
        for connection, message in zip(connections, messages, strict=True):
            connection.write(message)
        for connection, message in zip(connections, messages, strict=True):
            connection.read(message)
    return [*requests, *responses]


def count_attempts(account: Account, direction: str) -> int:
    """Return how many sendings of a direction the tape saw at first points."""
    return sum(message.direction == direction for message, _ in account.sightings)


def count_joined(groups: Iterable[bytes], told: Told) -> dict[tuple[str, str], tuple[int, int]]:
    """Return what the plugin counts of such transits: messages, and further attempts, by direction and sender."""
    join = Join(JoinSettings(window_ns=60 * NS_PER_S, settle_ns=2 * NS_PER_S))
    contexts = {b"".join(message.context) for message in told}
    join.add_parents(b"", [(context, SPAN_KIND_CLIENT, 0, MAX_TIME_NS) for context in contexts], 0)
    for group in groups:
        join.add_batch(read_batch(group), 0)
    join.take_due(10 * NS_PER_S)
    found = join.messages.attempts.read()
    return {(direction.label, node): (first, again) for direction, node, first, again in found if first or again}


def list_sendings(groups: Iterable[bytes]) -> list[list[Transit]]:
    """Return the transits of each message on each node, in order of time."""
    found: dict[tuple[str, bytes], list[Transit]] = {}
    for batch in map(decode_batch, groups):
        for transit in batch.transits:
            found.setdefault((batch.node.name, attempts_key(message_key(transit))), []).append(transit)
    return [sorted(transits, key=lambda transit: transit.stamps[0].monotonic_ns) for transits in found.values()]


@pytest.mark.parametrize("node", [NODE_1, NODE_2], ids=lambda node: node.name)
@pytest.mark.parametrize("unlucky", ["request", "response"])
def test_lost_message_is_sent_again(bench: Bench, unlucky: str, node: Node) -> None:
    """Each attempt is a transit: partial on the node that lost it, whole where it passed; and the join counts it."""
    number = scale(CONNECTIONS)
    told: Told = []
    seen = len(bench.sink.groups)

    def story() -> Told:
        told.extend(ask_on_each(connections, unlucky))
        return told

    with resending_soon(*BOTH_PODS), connected(route_by_service(), number) as connections, losing(node):
        accounts = bench.run(story)
    assert count_attempts(accounts[node.name], unlucky) > number, "nothing was lost"
    check_accounts(accounts)
    senders = (("request", NODE_1.name), ("response", NODE_2.name))
    sent = {sender: len(accounts[sender[1]].select(sender[0])) for sender in senders}
    assert count_joined(bench.sink.groups[seen:], told) == {
        sender: (number, count - number) for sender, count in sent.items()
    }
    for sendings in list_sendings(bench.sink.groups[seen:]):
        assert [transit.earlier for transit in sendings] == list(range(len(sendings)))


@pytest.mark.parametrize(("unlucky", "node"), [("request", NODE_1), ("response", NODE_2)])
def test_lost_message_without_timestamps(bench: Bench, unlucky: str, node: Node) -> None:
    """Attempts cannot be told apart: the first is the transit, each further one is counted as repeated."""
    number = scale(CONNECTIONS)
    with (
        without_timestamps(*BOTH_PODS),
        resending_soon(*BOTH_PODS),
        connected(route_by_service(), number) as connections,
        losing(node),
    ):
        accounts = bench.run(lambda: ask_on_each(connections, unlucky))
    assert count_attempts(accounts[node.name], unlucky) > number, "nothing was lost"
    check_accounts(accounts)


def test_head_overtaken_by_its_body(bench: Bench) -> None:
    """A request whose first segment arrives behind its second is measured, by the first segment's own way."""

    def story() -> Told:
        told: Told = []
        for connection in connections:
            request = make_request("POST", headers=(MARK, f"Content-Length: {len(PART)}"))
            response = make_response(request)
            connection.write(request)
            connection.client.sendall(PART)
            held.release(request.first_line)
            connection.read(request)
            connection.server.recv(len(PART))
            connection.send(response)
            told += [request, response]
        return told

    with detour() as held, connected(route_by_service(), scale(CONNECTIONS)) as connections:
        accounts = bench.run(story)
    check_accounts(accounts)


def test_answer_lost_while_the_next_request_is_sent(bench: Bench) -> None:
    """An answer that is sent again stays its own request's; the next, which acknowledges none of it, is ambiguous."""

    def story() -> Told:
        told: Told = []
        for connection in connections:
            first, second = make_request(), make_request(reason="request_pipelined")
            answer = make_response(first, headers=("Content-Length: 2", MARK))
            other = make_response(second, reason="response_no_exchange")
            connection.send(first)
            connection.write(answer)  # lost once, on its way through node-2
            connection.send(second)
            connection.read(answer)
            connection.send(other)
            told += [first, second, answer, other]
        return told

    with (
        resending_soon(*BOTH_PODS),
        connected(route_by_service(), scale(CONNECTIONS) // 3) as connections,
        losing(NODE_2),
    ):
        accounts = bench.run(story)
    check_accounts(accounts)
