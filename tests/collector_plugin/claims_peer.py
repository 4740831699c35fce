"""A plugin's receiver with claims, and agents that listen, on real sockets."""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import pytest

from collector_plugin.claims import Claims
from collector_plugin.config import GrpcProtocol
from collector_plugin.grpc_claims import ClaimsService
from collector_plugin.grpc_service import Taker
from collector_plugin.receiver_grpc import GrpcReceiver
from collector_plugin.ticker import Ticker
from hopspan.export_errors import ExportResult
from hopspan.flow_claims import MAX_BATCH_CLAIMS, WATCH_METHOD, Claim, Hello, decode_batch, encode_hello
from hopspan.logs import Log
from hopspan.settings import LogLevel
from hopspan.values import Endpoint
from tests.collector_plugin.claim_story import claim

DEADLINE_S = 20.0
SETTINGS = GrpcProtocol(endpoint=Endpoint("localhost", 0))


class Plugin:
    """A receiver with claims, and what it logged."""

    def __init__(self, settings: GrpcProtocol, *, with_claims: bool = True) -> None:
        self.log = io.StringIO()
        self.claims = Claims(Log(LogLevel.INFO, self.log))
        service = ClaimsService(self.claims) if with_claims else None
        self.receiver = GrpcReceiver(settings, Taker(lambda *_: ExportResult()), claims=service)
        self.ticker = Ticker(lambda _: self.claims.flush(1), self.claims.log)
        """For what may have to wait for a former batch to leave."""

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


def claim_more(plugin: Plugin, address: bytes, now_ns: int) -> None:
    """Claim a batch from the agent that has the address."""
    plugin.claims.take_in([claim(number, address) for number in range(MAX_BATCH_CLAIMS)], [], now_ns)
