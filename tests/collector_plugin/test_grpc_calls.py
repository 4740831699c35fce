"""The server of calls on real sockets: what its one thread does itself, what others do, and how it ends."""

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager

import grpc
import pytest

from collector_plugin import grpc_service, grpc_watch
from collector_plugin.config import GrpcProtocol
from collector_plugin.grpc_polling import FORMER_POLLING, VARIABLE, poll_in_one_thread
from collector_plugin.grpc_service import Taker
from collector_plugin.receiver_grpc import GrpcReceiver
from hopspan.export_errors import ExportResult, PermanentExportError
from hopspan.otlp_export import EXPORT_METHOD
from hopspan.protowire import WireError
from hopspan.values import Endpoint

DEADLINE_S = 20.0
SETTINGS = GrpcProtocol(endpoint=Endpoint("localhost", 0))

Send = Callable[[bytes], bytes]


@contextmanager
def serve(accept: Callable[[bytes, Callable[[], bool], int], ExportResult], *, waits: bool) -> Iterator[GrpcReceiver]:
    """Hold a receiver that serves."""
    receiver = GrpcReceiver(SETTINGS, Taker(accept, waits=waits))
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop(0)


@contextmanager
def connect(receiver: GrpcReceiver) -> Iterator[Send]:
    """Hold a client; yield what sends a request, and returns the answer or raises grpc.RpcError."""
    with grpc.insecure_channel(str(receiver.endpoint)) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(EXPORT_METHOD)
        yield lambda data: call(data, timeout=DEADLINE_S)


def test_small_requests_that_wait_for_nobody_need_no_other_thread() -> None:
    """A large one takes longer, and gets a thread, as does each where there is a peer to wait for."""
    names: queue.Queue[str] = queue.Queue()

    def accept(*_: object) -> ExportResult:
        names.put(threading.current_thread().name)
        return ExportResult()

    with serve(accept, waits=False) as receiver, connect(receiver) as send:
        send(b"small")
        send(bytes(grpc_service.QUICK_BYTES + 1))
        assert [names.get_nowait() == "otlp" for _ in range(2)] == [True, False]
    with serve(accept, waits=True) as receiver, connect(receiver) as send:
        send(b"small")
        assert names.get_nowait() != "otlp"


@pytest.mark.parametrize("waits", [False, True])
def test_fault_of_ours_ends_its_request_alone(waits: bool) -> None:  # noqa: FBT001 - a table's column
    """Its client is told that we failed, with nothing of what failed; the next one is served."""

    def accept(request: bytes, *_: object) -> ExportResult:
        if request == b"bad":
            raise ValueError("secret")
        return ExportResult()

    with serve(accept, waits=waits) as receiver, connect(receiver) as send:
        with pytest.raises(grpc.RpcError) as caught:
            send(b"bad")
        assert caught.value.code() is grpc.StatusCode.UNKNOWN
        assert "secret" not in (caught.value.details() or "")
        assert send(b"good") == b""
        assert receiver.count_answers()["UNKNOWN"] == 1


def test_requests_that_are_begun_need_no_other_thread() -> None:
    """Each is answered when its end is told, in whatever order, and an error as if it had been waited for."""
    ends: queue.Queue[Callable[[ExportResult | Exception], None]] = queue.Queue()

    def begin(
        request: bytes, _: Callable[[], bool], __: int, done: Callable[[ExportResult | Exception], None]
    ) -> None:
        assert threading.current_thread().name == "otlp"
        if request == b"bad":
            raise WireError("bad")
        ends.put(done)

    receiver = GrpcReceiver(SETTINGS, Taker(lambda *_: ExportResult(), begin=begin))
    receiver.start()
    try:
        with connect(receiver) as send, futures.ThreadPoolExecutor(2) as threads:
            answers = [threads.submit(send, b"x") for _ in range(2)]
            first, second = (ends.get(timeout=DEADLINE_S) for _ in range(2))
            second(ExportResult())
            first(PermanentExportError("UNAUTHENTICATED", "no"))
            codes = [answer.exception(DEADLINE_S) for answer in answers]
            assert sorted(str(error.code().name) for error in codes if isinstance(error, grpc.RpcError)) == [
                "UNAUTHENTICATED"
            ]
            with pytest.raises(grpc.RpcError) as caught:
                send(b"bad")
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    finally:
        receiver.stop(0)


def test_many_clients_wait_for_their_delivery_at_once() -> None:
    """As many as there are threads: it takes many to merge."""
    together = threading.Barrier(grpc_service.HANDLER_THREADS)

    def accept(*_: object) -> ExportResult:
        together.wait(DEADLINE_S)
        return ExportResult()

    count = grpc_service.HANDLER_THREADS
    with serve(accept, waits=True) as receiver, futures.ThreadPoolExecutor(count) as clients:

        def send_one(_: int) -> bytes:
            # A connection each: one alone has fewer requests under way.
            options = [("grpc.use_local_subchannel_pool", 1)]
            with grpc.insecure_channel(str(receiver.endpoint), options=options) as channel:
                call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(EXPORT_METHOD)
                return call(b"x", timeout=DEADLINE_S)

        assert list(clients.map(send_one, range(count))) == [b""] * count


def test_stop_waits_for_what_is_under_way() -> None:
    """A request that is delivered within the grace is answered, though nobody is let in any more."""
    begun, go_on = threading.Event(), threading.Event()

    def accept(*_: object) -> ExportResult:
        begun.set()
        go_on.wait(DEADLINE_S)
        return ExportResult(0, "late")

    with serve(accept, waits=True) as receiver, connect(receiver) as send, futures.ThreadPoolExecutor(2) as threads:
        answer = threads.submit(send, b"x")
        assert begun.wait(DEADLINE_S)
        stopped = threads.submit(receiver.stop, DEADLINE_S)
        with pytest.raises(futures.TimeoutError):
            stopped.result(0.2)
        go_on.set()
        assert b"late" in answer.result(DEADLINE_S)
        stopped.result(DEADLINE_S)


def test_stop_breaks_off_what_takes_longer() -> None:
    """Its client is told, and what the request becomes afterwards does no harm."""
    begun, go_on = threading.Event(), threading.Event()
    wanted: queue.Queue[bool] = queue.Queue()

    def accept(_: bytes, is_wanted: Callable[[], bool], __: int) -> ExportResult:
        begun.set()
        go_on.wait(DEADLINE_S)
        wanted.put(is_wanted())
        return ExportResult()

    with serve(accept, waits=True) as receiver, connect(receiver) as send, futures.ThreadPoolExecutor(1) as threads:
        answer = threads.submit(send, b"x")
        assert begun.wait(DEADLINE_S)
        receiver.stop(0.1)
        with pytest.raises(grpc.RpcError) as caught:
            answer.result(DEADLINE_S)
        assert caught.value.code() in (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE)
        go_on.set()
        assert not wanted.get(timeout=DEADLINE_S)


def test_message_waits_for_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """While others take too much it is not read; then it is, or it is refused where that takes long."""
    monkeypatch.setattr(grpc_watch, "INTERVAL_S", 3600)
    monkeypatch.setattr(grpc_watch, "IDLE_S", 3600)
    with (
        serve(lambda *_: ExportResult(), waits=False) as receiver,
        connect(receiver) as send,
        futures.ThreadPoolExecutor(1) as threads,
    ):
        receiver.watch._is_alarmed, receiver.watch.has_room = True, False
        with pytest.raises(grpc.RpcError) as caught:
            send(b"x")
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        monkeypatch.setattr(grpc_service, "MAX_WAIT_NS", 60 * 10**9)
        answer = threads.submit(send, b"x")
        with pytest.raises(futures.TimeoutError):
            answer.result(0.2)
        receiver.watch.has_room = True
        assert answer.result(DEADLINE_S) == b""


def test_polling_is_chosen_before_grpc_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads the variable then and never again; who has set it before has the last word."""
    code = "import sys, collector_plugin.__main__; print('grpc' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.delenv(VARIABLE)
    poll_in_one_thread()
    assert os.environ[VARIABLE] == FORMER_POLLING
    monkeypatch.setenv(VARIABLE, "all")
    poll_in_one_thread()
    assert os.environ[VARIABLE] == "all"
