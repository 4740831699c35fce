"""Agents that listen for claims, on real sockets: who is let in, what they get, and slow ones that hold up nobody."""

import time

import grpc
import pytest

from collector_plugin.claim_queue import MAX_QUEUED
from collector_plugin.claims import HEARTBEAT_NS, STALL_NS
from hopspan.flow_claims import MAX_BATCH_CLAIMS, Hello, encode_hello
from hopspan.otlp_export import EXPORT_METHOD
from tests.collector_plugin.claim_story import CLIENT, SERVER, answer, batch, claim
from tests.collector_plugin.claims_peer import DEADLINE_S, Agent, claim_more, connect, serve


def test_agents_get_what_spans_claim_and_the_far_side() -> None:
    """Each what it is asked, in batches; the answer of one is claimed from the other."""
    with serve() as plugin, connect(plugin, "one") as one, connect(plugin, "two") as two:
        plugin.wait_for_agents(2)
        plugin.claims.take_in([claim(1), claim(2)], [], 0)
        plugin.claims.flush(1)
        assert one.read() == two.read() == [claim(1), claim(2)]
        plugin.claims.take_in([], [batch("one", answer())], 2)
        plugin.ticker.start()
        (exact,) = two.read()
        plugin.ticker.stop()
        assert exact.parent_id == answer().parent_id
        assert plugin.read("claims") == {"interval": 2, "exact": 1}
        assert plugin.receiver.count_answers()["OK"] == 2


def test_full_batch_waits_for_no_tick() -> None:
    """And as long as whole ones wait, one follows the other."""
    with serve() as plugin, connect(plugin) as agent:
        plugin.wait_for_agents(1)
        plugin.claims.take_in([claim(number) for number in range(2 * MAX_BATCH_CLAIMS + 1)], [], 0)
        assert [len(agent.read()) for _ in range(2)] == [MAX_BATCH_CLAIMS] * 2
        plugin.ticker.start()
        assert agent.read() == [claim(2 * MAX_BATCH_CLAIMS)]
        plugin.ticker.stop()


def test_requests_are_served_beside_the_streams() -> None:
    """By the same port and the same connection."""
    with serve() as plugin, grpc.insecure_channel(str(plugin.receiver.endpoint)) as channel:
        agent = Agent(channel, encode_hello(Hello("one", "")))
        export: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(EXPORT_METHOD)
        assert export(b"", timeout=DEADLINE_S) == b""
        plugin.wait_for_agents(1)
        plugin.claims.take_in([claim()], [], 0)
        plugin.claims.flush(1)
        assert agent.read() == [claim()]


def test_slow_agent_holds_up_nobody() -> None:
    """It reads nothing: its claims wait in a bounded queue, while the other gets every one of its own."""
    with serve() as plugin, connect(plugin, "slow"), connect(plugin, "one") as one:
        plugin.wait_for_agents(2)
        for address, node in ((CLIENT, "slow"), (SERVER, "one")):
            plugin.claims._book.addresses.learn(address, node, 1)
        batches = 0
        plugin.ticker.start()
        while not plugin.read("claims_dropped")["queue_full"]:
            assert batches < 10_000, "an agent that does not read has taken five million claims"
            batches += 1
            claim_more(plugin, CLIENT, 1)
            plugin.claims.take_in([claim(batches, SERVER)], [], 1)
            assert one.read() == [claim(batches, SERVER)]
        plugin.ticker.stop()
        assert plugin.read("claims_waiting")[""] <= MAX_QUEUED


def test_agent_that_takes_nothing_for_a_minute_is_given_up() -> None:
    """Its machine may be gone without a word."""
    with serve() as plugin, connect(plugin, "slow") as slow:
        plugin.wait_for_agents(1)
        now_ns = 0
        while not plugin.read("claim_streams_ended")["stalled"]:
            now_ns += 1 + STALL_NS
            assert now_ns < 10_000 * STALL_NS, "an agent that does not read has taken five million claims"
            plugin.claims._book.addresses.learn(CLIENT, "slow", now_ns)
            claim_more(plugin, CLIENT, now_ns)
            plugin.claims.flush(now_ns)
        plugin.wait_for_agents(0)
        with pytest.raises(grpc.RpcError):
            list(slow.call)


def test_idle_stream_has_a_heartbeat() -> None:
    """An empty batch, so that nobody on the way takes it for dead."""
    with serve() as plugin, connect(plugin) as agent:
        plugin.wait_for_agents(1)
        plugin.claims.flush(time.monotonic_ns() + HEARTBEAT_NS)
        assert agent.read() == []


def test_agent_that_goes_is_forgotten_and_may_come_again() -> None:
    """Whether its connection ended or not: a later stream of the same node counts."""
    with serve() as plugin:
        with connect(plugin):
            plugin.wait_for_agents(1)
        plugin.wait_for_agents(0)
        with connect(plugin) as former, connect(plugin, "two"):
            plugin.wait_for_agents(2)
            with connect(plugin) as agent:
                assert former.fail() is grpc.StatusCode.CANCELLED
                plugin.claims.take_in([claim()], [], 0)
                plugin.claims.flush(1)
                assert agent.read() == [claim()]
                assert plugin.read("claim_agents")[""] == 2
                assert plugin.read("claim_streams_ended")["replaced"] == 1
