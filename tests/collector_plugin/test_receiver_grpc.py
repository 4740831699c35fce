"""The receiver on a real socket: which answer each outcome becomes, and what is refused before it gets in."""

import queue
import threading
from collections.abc import Callable, Iterator

import grpc
import pytest

from collector_plugin.config import GrpcProtocol
from collector_plugin.grpc_service import Taker
from collector_plugin.otlp_walk import TooManySpansError
from collector_plugin.receiver_grpc import GrpcReceiver
from hopspan.errors import HopspanError
from hopspan.export_errors import ExportResult, PermanentExportError, RetryableExportError
from hopspan.otlp_export import EXPORT_METHOD
from hopspan.protowire import WireError, write_integer, write_length
from hopspan.rpc_status import STATUS_KEY, read_retry_after_ns
from hopspan.values import Endpoint

DEADLINE_S = 20.0

ANY_PORT = GrpcProtocol(endpoint=Endpoint("localhost", 0), max_recv_msg_size_mib=1)


class Bench:
    """A receiver whose requests end as `outcome` says, and a client."""

    def __init__(self) -> None:
        """Serve, and take everything."""
        self.requests: queue.Queue[bytes] = queue.Queue()
        self.outcome: Callable[[Callable[[], bool]], ExportResult] = lambda _is_wanted: ExportResult()
        self.receiver = GrpcReceiver(ANY_PORT, Taker(self._accept))
        self.receiver.start()
        self.channel = grpc.insecure_channel(
            str(self.receiver.endpoint), options=[("grpc.max_send_message_length", -1)]
        )

    def send(
        self, data: bytes, *, method: str = EXPORT_METHOD, timeout_s: float = DEADLINE_S, gzip: bool = False
    ) -> bytes:
        """Send a request; return the answer's bytes, or raise grpc.RpcError."""
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self.channel.unary_unary(method)
        return call(data, timeout=timeout_s, compression=grpc.Compression.Gzip if gzip else None)

    def fail(self, error: Exception) -> grpc.RpcError:
        """Let a request end in `error`; return what the client gets."""

        def raise_error(_is_wanted: Callable[[], bool]) -> ExportResult:
            raise error

        self.outcome = raise_error
        with pytest.raises(grpc.RpcError) as caught:
            self.send(b"x")
        return caught.value

    def close(self) -> None:
        """End both."""
        self.channel.close()
        self.receiver.stop(0)

    def _accept(self, request: bytes, is_wanted: Callable[[], bool], _now_ns: int) -> ExportResult:
        self.requests.put(request)
        return self.outcome(is_wanted)


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A receiver and a client."""
    bench = Bench()
    yield bench
    bench.close()


@pytest.mark.parametrize("gzip", [False, True])
def test_request_gets_in_byte_for_byte(bench: Bench, gzip: bool) -> None:  # noqa: FBT001 - a table's column
    """Plain or gzip, as OTLP asks for; success is an empty answer."""
    data = bytes(range(256)) * 100
    assert bench.send(data, gzip=gzip) == b""
    assert bench.requests.get_nowait() == data
    assert bench.receiver.count_answers()["OK"] == 1


def test_partial_success_is_told(bench: Bench) -> None:
    """What was left out is told with its reason; a mere remark has no number."""
    bench.outcome = lambda _is_wanted: ExportResult(3, "bad")
    assert bench.send(b"x") == write_length(1, write_integer(1, 3) + write_length(2, b"bad"))
    bench.outcome = lambda _is_wanted: ExportResult(0, "a remark")
    assert bench.send(b"x") == write_length(1, write_length(2, b"a remark"))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (WireError("cut"), "INVALID_ARGUMENT"),
        (TooManySpansError("too many"), "RESOURCE_EXHAUSTED"),
        (RetryableExportError("DEADLINE_EXCEEDED", "slow"), "UNAVAILABLE"),
        (RetryableExportError("RESOURCE_EXHAUSTED", "slow down", 5), "UNAVAILABLE"),
        (PermanentExportError("INVALID_ARGUMENT", "no"), "INVALID_ARGUMENT"),
        (PermanentExportError("UNAUTHENTICATED", "no"), "UNAUTHENTICATED"),
        (PermanentExportError("RESOURCE_EXHAUSTED", "too large"), "RESOURCE_EXHAUSTED"),
        (PermanentExportError("SOMETHING_ELSE", "no"), "INTERNAL"),
    ],
    ids=repr,
)
def test_failure_has_its_status(bench: Bench, error: Exception, code: str) -> None:
    """What may succeed later is UNAVAILABLE, what never will keeps its code; each is counted."""
    got = bench.fail(error)
    assert got.code().name == code
    assert str(error) in (got.details() or "")
    assert bench.receiver.count_answers()[code] == 1


def test_client_is_told_when_to_come_again(bench: Bench) -> None:
    """A peer's RetryInfo reaches the client; where there is none, none is made up."""
    got = bench.fail(RetryableExportError("UNAVAILABLE", "busy", 1_500_000_000))
    metadata = {item.key: item.value for item in got.trailing_metadata()}
    assert read_retry_after_ns(metadata[STATUS_KEY]) == 1_500_000_000
    got = bench.fail(RetryableExportError("UNAVAILABLE", "busy"))
    assert STATUS_KEY not in {item.key for item in got.trailing_metadata()}


@pytest.mark.parametrize("method", ["/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", "/x/y"])
def test_other_services_are_not_served(bench: Bench, method: str) -> None:
    """Metrics, logs and whatever else are told so."""
    with pytest.raises(grpc.RpcError) as caught:
        bench.send(b"x", method=method)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("gzip", [False, True])
def test_too_large_a_request_is_refused(bench: Bench, gzip: bool) -> None:  # noqa: FBT001 - a table's column
    """The limit holds for the unpacked size: a small archive of a large request is refused too."""
    with pytest.raises(grpc.RpcError) as caught:
        bench.send(bytes((1 << 20) + 1), gzip=gzip)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert bench.requests.empty()


def test_client_that_is_gone_is_known(bench: Bench) -> None:
    """While a request waits for its delivery it can be seen whether its client still does."""
    seen: queue.Queue[bool] = queue.Queue()
    go_on = threading.Event()

    def wait(is_wanted: Callable[[], bool]) -> ExportResult:
        seen.put(is_wanted())
        go_on.wait(DEADLINE_S)
        seen.put(is_wanted())
        return ExportResult()

    bench.outcome = wait
    with pytest.raises(grpc.RpcError):
        bench.send(b"x", timeout_s=0.2)
    assert seen.get(timeout=DEADLINE_S)
    threading.Event().wait(0.1)
    go_on.set()
    assert not seen.get(timeout=DEADLINE_S)


def test_host_without_address_is_named() -> None:
    """A name that nobody knows is told, not thrown."""
    with pytest.raises(HopspanError, match=r"grpc.endpoint: cannot listen on no-such-host.invalid:0"):
        GrpcReceiver(GrpcProtocol(endpoint=Endpoint("no-such-host.invalid", 0)), Taker(lambda *_: ExportResult()))


def test_port_in_use_is_named(bench: Bench) -> None:
    """A start on a taken port names the key and the endpoint, and takes no connection from who has it."""
    taken = GrpcProtocol(endpoint=bench.receiver.endpoint)
    with pytest.raises(HopspanError, match=r"receivers.otlp.protocols.grpc.endpoint: cannot listen on localhost:\d+"):
        GrpcReceiver(taken, Taker(lambda *_: ExportResult()))


def test_receiver_that_never_served_lets_go_of_its_port() -> None:
    """Another part of the plugin could not be opened."""
    first = GrpcReceiver(ANY_PORT, Taker(lambda *_: ExportResult()))
    first.stop(0)
    GrpcReceiver(GrpcProtocol(endpoint=first.endpoint), Taker(lambda *_: ExportResult())).stop(0)
