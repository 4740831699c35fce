"""Agents that listen for claims, on real sockets: who is let in, what they get, and slow ones that hold up nobody."""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import pytest

from collector_plugin import claims as claims_module
from collector_plugin.bearer_auth import BearerAuth
from collector_plugin.claim_queue import MAX_QUEUED
from collector_plugin.claims import HEARTBEAT_NS, STALL_NS, Claims
from collector_plugin.config import GrpcProtocol
from collector_plugin.grpc_claims import ClaimsService
from collector_plugin.grpc_service import Taker
from collector_plugin.receiver_grpc import GrpcReceiver
from hopspan.export_errors import ExportResult
from hopspan.flow_claims import MAX_BATCH_CLAIMS, WATCH_METHOD, Claim, Hello, decode_batch, encode_hello
from hopspan.logs import Log
from hopspan.otlp_export import EXPORT_METHOD
from hopspan.settings import LogLevel
from hopspan.values import Endpoint
from tests.collector_plugin.claim_story import CLIENT, SERVER, answer, batch, claim

DEADLINE_S = 20.0
SETTINGS = GrpcProtocol(endpoint=Endpoint("localhost", 0))


class Plugin:
    """A receiver with claims, and what it logged."""

    def __init__(self, settings: GrpcProtocol, *, with_claims: bool = True) -> None:
        self.log = io.StringIO()
        self.claims = Claims(Log(LogLevel.INFO, self.log))
        service = ClaimsService(self.claims) if with_claims else None
        self.receiver = GrpcReceiver(settings, Taker(lambda *_: ExportResult()), claims=service)

    def read(self, name: str) -> dict[str, float]:
        """Return a metric's samples by their label."""
        (metric,) = (m for m in self.claims.read_metrics() if m.name == f"hopspan_plugin_{name}")
        return {next(iter(labels.values()), ""): value for labels, value in metric.samples}

    def wait_for_agents(self, count: int) -> None:
        """Wait until so many listen."""
        deadline = time.monotonic() + DEADLINE_S
        while self.read("claim_agents")[""] != count:
            assert time.monotonic() < deadline
            time.sleep(0.01)


@contextmanager
def serve(settings: GrpcProtocol = SETTINGS, *, with_claims: bool = True) -> Iterator[Plugin]:
    """Hold a plugin that serves."""
    plugin = Plugin(settings, with_claims=with_claims)
    plugin.receiver.start()
    try:
        yield plugin
    finally:
        plugin.receiver.stop(0)


class Agent:
    """An agent that listens, and reads as it is told."""

    def __init__(self, channel: grpc.Channel, hello: bytes, token: str | None = None) -> None:
        watch: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(WATCH_METHOD)
        metadata = (("authorization", f"Bearer {token}"),) if token is not None else ()
        self.call = watch(hello, metadata=metadata)

    def read(self) -> list[Claim]:
        """Return the next batch's claims."""
        return decode_batch(next(self.call)).claims

    def fail(self) -> grpc.StatusCode:
        """Return how the stream ends."""
        with pytest.raises(grpc.RpcError) as caught:
            next(self.call)
        return caught.value.code()


@contextmanager
def connect(plugin: Plugin, node: str = "one", token: str | None = None) -> Iterator[Agent]:
    """Hold an agent with a connection of its own."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(str(plugin.receiver.endpoint), options=options) as channel:
        agent = Agent(channel, encode_hello(Hello(node, f"clock of {node}")), token)
        yield agent
        agent.call.cancel()


def test_agents_get_what_spans_claim_and_the_far_side() -> None:
    """Each what it is asked, in batches; the answer of one is claimed from the other."""
    with serve() as plugin, connect(plugin, "one") as one, connect(plugin, "two") as two:
        plugin.wait_for_agents(2)
        plugin.claims.take_in([claim(1), claim(2)], [], 0)
        plugin.claims.flush(1)
        assert one.read() == two.read() == [claim(1), claim(2)]
        plugin.claims.take_in([], [batch("one", answer())], 2)
        plugin.claims.flush(3)
        (exact,) = two.read()
        assert exact.parent_id == answer().parent_id
        assert plugin.read("claims") == {"interval": 2, "exact": 1}
        assert plugin.receiver.count_answers()["OK"] == 2


def test_full_batch_waits_for_no_tick() -> None:
    """And as long as whole ones wait, one follows the other."""
    with serve() as plugin, connect(plugin) as agent:
        plugin.wait_for_agents(1)
        plugin.claims.take_in([claim(number) for number in range(2 * MAX_BATCH_CLAIMS + 1)], [], 0)
        assert [len(agent.read()) for _ in range(2)] == [MAX_BATCH_CLAIMS] * 2
        plugin.claims.flush(1)
        assert agent.read() == [claim(2 * MAX_BATCH_CLAIMS)]


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


def claim_more(plugin: Plugin, address: bytes, now_ns: int) -> None:
    """Claim a batch from the agent that has the address."""
    plugin.claims.take_in([claim(number, address) for number in range(MAX_BATCH_CLAIMS)], [], now_ns)


def test_slow_agent_holds_up_nobody() -> None:
    """It reads nothing: its claims wait in a bounded queue, while the other gets every one of its own."""
    with serve() as plugin, connect(plugin, "slow"), connect(plugin, "one") as one:
        plugin.wait_for_agents(2)
        for address, node in ((CLIENT, "slow"), (SERVER, "one")):
            plugin.claims._book.addresses.learn(address, node, 1)
        batches = 0
        while not plugin.read("claims_dropped")["queue_full"]:
            assert batches < 10_000, "an agent that does not read has taken five million claims"
            batches += 1
            claim_more(plugin, CLIENT, 1)
            plugin.claims.take_in([claim(batches, SERVER)], [], 1)
            plugin.claims.flush(1)
            assert one.read() == [claim(batches, SERVER)]
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


def test_agents_show_the_token_of_the_receiver() -> None:
    """As for transits: without it nobody hears what is claimed."""
    settings = GrpcProtocol(endpoint=Endpoint("localhost", 0), auth=BearerAuth(tokens=("right",)))
    with serve(settings) as plugin:
        for token in (None, "wrong"):
            with connect(plugin, token=token) as agent:
                assert agent.fail() is grpc.StatusCode.UNAUTHENTICATED
        with connect(plugin, token="right") as agent:  # noqa: S106 - a test's
            plugin.wait_for_agents(1)
            plugin.claims.take_in([claim()], [], 0)
            plugin.claims.flush(1)
            assert agent.read() == [claim()]


@pytest.mark.parametrize(
    ("hello", "code"),
    [
        (b"", grpc.StatusCode.INVALID_ARGUMENT),
        (b"\x01", grpc.StatusCode.INVALID_ARGUMENT),
        (b"\x02\x03one\x00", grpc.StatusCode.UNIMPLEMENTED),
    ],
)
def test_agent_of_another_version_is_told(hello: bytes, code: grpc.StatusCode) -> None:
    """And so is the plugin's log."""
    with serve() as plugin, grpc.insecure_channel(str(plugin.receiver.endpoint)) as channel:
        assert Agent(channel, hello).fail() is code
        assert ("another version" in plugin.log.getvalue()) is (code is grpc.StatusCode.UNIMPLEMENTED)
        assert plugin.read("claim_agents")[""] == 0


def test_plugin_without_flows_has_no_claims() -> None:
    """The method is not there, as in a plugin of a former release."""
    with serve(with_claims=False) as plugin, connect(plugin) as agent:
        assert agent.fail() is grpc.StatusCode.UNIMPLEMENTED


def test_no_more_agents_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next is told to come again."""
    monkeypatch.setattr(claims_module, "MAX_AGENTS", 1)
    with serve() as plugin, connect(plugin, "one"):
        plugin.wait_for_agents(1)
        with connect(plugin, "two") as two:
            assert two.fail() is grpc.StatusCode.UNAVAILABLE


def test_stop_waits_for_no_stream() -> None:
    """It has no end of its own."""
    with serve() as plugin, connect(plugin) as agent:
        plugin.wait_for_agents(1)
        started = time.monotonic()
        plugin.receiver.stop(DEADLINE_S)
        assert time.monotonic() - started < DEADLINE_S / 2
        assert agent.fail() in (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE)
