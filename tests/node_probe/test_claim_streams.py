"""The streams of claims against a gRPC server on a real socket: what comes, and what happens when it goes away."""

import queue
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest

from hopspan.counters import Counters
from hopspan.flow_claims import WATCH_METHOD, Batch, Hello, IntervalClaim, decode_hello, encode_batch, encode_hello
from hopspan.logs import Log
from hopspan.settings import LogLevel, OtlpExporter, TlsClient
from hopspan.values import Endpoint
from node_probe.claim_queue import MAX_CLAIMS, ClaimQueue
from node_probe.claim_streams import ClaimStreams, resolve
from node_probe.counters import ClaimOutcome
from testbed.deadline import wait_until

DEADLINE_S = 30.0
CLAIM = IntervalClaim(b"\1" * 16, b"\2" * 8, 1, bytes(15) + b"\1", 40000, bytes(16), 0, 5, 6)
HELLO = Hello("node-1", "boot-1")


class Plugin(grpc.GenericRpcHandler):
    """Hands out the batches that are put into it, until None is."""

    def __init__(self, port: int = 0) -> None:
        self.batches: queue.Queue[bytes | None] = queue.Queue()
        self.hellos: queue.Queue[Hello] = queue.Queue()
        self.metadata: dict[str, Any] = {}
        self._server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[self], options=[("grpc.so_reuseport", 0)])
        self.port = self._server.add_insecure_port(f"localhost:{port}")
        self._server.start()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Serve claims alone."""
        watch: Any = grpc.unary_stream_rpc_method_handler(self._watch)
        return watch if handler_call_details.method == WATCH_METHOD else None

    def close(self) -> None:
        """Go away, and cut off who watches."""
        self.batches.put(None)
        self._server.stop(0).wait(DEADLINE_S)

    def _watch(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        self.metadata = dict(context.invocation_metadata())
        self.hellos.put(decode_hello(request))
        while (batch := self.batches.get(timeout=DEADLINE_S)) is not None:
            yield batch


@pytest.fixture
def plugin() -> Iterator[Plugin]:
    found = Plugin()
    yield found
    found.close()


def open_streams(port: int, taken: "queue.Queue[Batch]", **settings: Any) -> ClaimStreams:
    endpoint = Endpoint("127.0.0.1", port)
    exporter = OtlpExporter(endpoint=endpoint, tls=TlsClient(insecure=True), **settings)
    streams = ClaimStreams((endpoint,), exporter, encode_hello(HELLO), taken.put, Log(LogLevel.ERROR))
    streams.start()
    return streams


def test_claims_come_as_they_are_made(plugin: Plugin) -> None:
    """The agent says who it is, shows what it shows with transits, and takes batches as they come."""
    taken: queue.Queue[Batch] = queue.Queue()
    streams = open_streams(plugin.port, taken, headers={"X-Token": "secret"})
    try:
        assert plugin.hellos.get(timeout=DEADLINE_S) == HELLO
        assert plugin.metadata["x-token"] == "secret"
        plugin.batches.put(encode_batch([]))
        plugin.batches.put(encode_batch([CLAIM, CLAIM]))
        assert taken.get(timeout=DEADLINE_S).claims == []
        assert taken.get(timeout=DEADLINE_S).claims == [CLAIM, CLAIM]
        assert (streams.wanted, streams.connected) == (1, 1)
    finally:
        streams.stop()


def test_plugin_that_comes_back_is_asked_again(plugin: Plugin) -> None:
    """Also one that sends what is no batch is asked again, later."""
    taken: queue.Queue[Batch] = queue.Queue()
    streams = open_streams(plugin.port, taken)
    try:
        plugin.hellos.get(timeout=DEADLINE_S)
        plugin.batches.put(b"\7 a version of another time")
        plugin.hellos.get(timeout=DEADLINE_S)
        plugin.close()
        wait_until(lambda: streams.connected == 0, "the stream did not end", DEADLINE_S)
        again = Plugin(plugin.port)
        try:
            assert again.hellos.get(timeout=DEADLINE_S) == HELLO
        finally:
            again.close()
    finally:
        streams.stop()


def test_name_has_a_stream_to_each_address() -> None:
    """A name of several plugins is looked up, not left to gRPC, which would choose one."""
    assert resolve(Endpoint("127.0.0.1", 5)) == {"ipv4:127.0.0.1:5"}
    assert resolve(Endpoint("::1", 5)) == {"ipv6:[::1]:5"}


def test_queue_is_bounded() -> None:
    """What has no room is counted, and so is what is not understood."""
    outcomes = Counters(ClaimOutcome)
    claims = ClaimQueue(outcomes)
    for _ in range(30):
        claims.add(Batch([CLAIM] * 500, 2))
    assert outcomes.read()[ClaimOutcome.QUEUE_FULL] == 15_000 - MAX_CLAIMS
    assert outcomes.read()[ClaimOutcome.NOT_UNDERSTOOD] == 60
    assert len(claims.take(4000)) == 4000
    assert len(claims.take(MAX_CLAIMS)) == 6000
    assert claims.take(1) == []
