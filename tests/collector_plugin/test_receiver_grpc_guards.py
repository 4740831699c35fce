"""What stands before the gRPC receiver: TLS, tokens, the bytes that may be held, and slow clients."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from collector_plugin import grpc_service, grpc_watch
from collector_plugin.admission import Admission
from collector_plugin.bearer_auth import BearerAuth
from collector_plugin.config import GrpcProtocol
from collector_plugin.grpc_service import Taker
from collector_plugin.receiver_grpc import GrpcReceiver
from hopspan.errors import HopspanError
from hopspan.export_errors import ExportResult
from hopspan.otlp_export import EXPORT_METHOD
from hopspan.rpc_status import STATUS_KEY, read_retry_after_ns
from hopspan.tls_server import TlsServer
from hopspan.values import Endpoint
from tests.collector_plugin.http2_client import HalfMessages, run_clients
from tests.hopspan.certificates import Parties

DEADLINE_S = 20.0
ANY_PORT = Endpoint("localhost", 0)

SLOW_CLIENTS = 200
"""More than a pool of threads of the usual size has."""


@contextmanager
def serve(
    settings: GrpcProtocol,
    accept: Callable[[bytes, Callable[[], bool], int], ExportResult] = lambda *_: ExportResult(),
    admission: Admission | None = None,
) -> Iterator[GrpcReceiver]:
    """Hold a receiver that serves."""
    receiver = GrpcReceiver(settings, Taker(accept), admission)
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop(0)


def send(
    receiver: GrpcReceiver, credentials: grpc.ChannelCredentials | None = None, authorization: str | None = None
) -> bytes:
    """Send an empty request; return the answer, or raise grpc.RpcError."""
    target = str(receiver.endpoint)
    metadata = (("authorization", authorization),) if authorization is not None else ()
    channel = grpc.secure_channel(target, credentials) if credentials is not None else grpc.insecure_channel(target)
    with channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(EXPORT_METHOD)
        return call(b"", timeout=DEADLINE_S, metadata=metadata)


def fail(receiver: GrpcReceiver, **arguments: str | grpc.ChannelCredentials) -> grpc.RpcError:
    """Send a request that fails; return the error."""
    with pytest.raises(grpc.RpcError) as caught:
        send(receiver, **arguments)  # type: ignore[arg-type]  # each is of the type its name asks for
    return caught.value


@pytest.mark.parametrize("authorization", [None, "Bearer other", "Basic secret-1", "secret-1", "Bearer secret-12"])
def test_without_the_token_nothing_gets_in(authorization: str | None) -> None:
    """No request is taken, and the answer repeats nothing of what was shown."""
    taken: list[bytes] = []

    def accept(request: bytes, _is_wanted: Callable[[], bool], _now_ns: int) -> ExportResult:
        taken.append(request)
        return ExportResult()

    settings = GrpcProtocol(endpoint=ANY_PORT, auth=BearerAuth(tokens=("secret-1", "secret-2")))
    with serve(settings, accept) as receiver:
        error = fail(receiver, **({"authorization": authorization} if authorization else {}))
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED
        assert "secret" not in (error.details() or "")
        assert receiver.count_answers()["UNAUTHENTICATED"] == 1
        assert not taken
        assert send(receiver, authorization="Bearer secret-2") == b""


def test_client_needs_the_authority(parties: Parties) -> None:
    """With TLS a client that trusts nobody, or speaks plain text, gets no answer; one that trusts ours does."""
    settings = GrpcProtocol(endpoint=ANY_PORT, tls=make_tls(parties))
    with serve(settings) as receiver:
        assert send(receiver, trust(parties)) == b""
        assert fail(receiver).code() is grpc.StatusCode.UNAVAILABLE
        others = grpc.ssl_channel_credentials(Path(parties.others.ca_file).read_bytes())
        assert fail(receiver, credentials=others).code() is grpc.StatusCode.UNAVAILABLE


def test_mutual_tls_needs_a_certificate(parties: Parties) -> None:
    """Without a certificate of the named authority no client gets in."""
    settings = GrpcProtocol(endpoint=ANY_PORT, tls=make_tls(parties, client_ca_file=parties.ours.ca_file))
    with serve(settings) as receiver:
        assert send(receiver, trust(parties, is_client_known=True)) == b""
        assert fail(receiver, credentials=trust(parties)).code() is grpc.StatusCode.UNAVAILABLE


def test_renewed_certificate_is_served(parties: Parties, tmp_path: Path) -> None:
    """New files count for the next connection, without a restart; half a pair changes nothing."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"

    def install(name: str, pair: tuple[str, str]) -> None:
        for target, source in ((cert, pair[0]), (key, pair[1])):
            fresh = tmp_path / f"{target.name}.{name}"
            fresh.write_bytes(Path(source).read_bytes())
            fresh.rename(target)

    install("first", (parties.server.cert_file, parties.server.key_file))
    settings = GrpcProtocol(endpoint=ANY_PORT, tls=TlsServer(cert_file=str(cert), key_file=str(key)))
    with serve(settings) as receiver:
        assert send(receiver, trust(parties)) == b""
        cert.write_text("half")
        assert send(receiver, trust(parties)) == b""
        renewed = parties.others.issue("renewed")
        install("second", (renewed.cert_file, renewed.key_file))
        assert send(receiver, grpc.ssl_channel_credentials(Path(parties.others.ca_file).read_bytes())) == b""


def test_unusable_files_are_named(tmp_path: Path) -> None:
    """The start fails with the key of the file, for certificates and tokens alike."""
    tls = TlsServer(cert_file=str(tmp_path / "none.pem"), key_file=str(tmp_path / "none.key"))
    with pytest.raises(HopspanError, match=r"^receivers.otlp.protocols.grpc.tls.cert_file: .*none.pem"):
        GrpcReceiver(GrpcProtocol(endpoint=ANY_PORT, tls=tls), Taker(lambda *_: ExportResult()))
    auth = BearerAuth(bearer_token_file=str(tmp_path / "none.txt"))
    with pytest.raises(HopspanError, match=r"^receivers.otlp.protocols.grpc.auth.bearer_token_file: .*none.txt"):
        GrpcReceiver(GrpcProtocol(endpoint=ANY_PORT, auth=auth), Taker(lambda *_: ExportResult()))


def test_request_without_room_is_told_to_come_again() -> None:
    """What others hold is not exceeded; once they have gone there is room."""
    admission = Admission(100)
    assert admission.take(100)
    with serve(GrpcProtocol(endpoint=ANY_PORT), admission=admission) as receiver, open_call(receiver) as call:
        with pytest.raises(grpc.RpcError) as caught:
            call(b"x", timeout=DEADLINE_S)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        metadata = {item.key: item.value for item in caught.value.trailing_metadata()}
        assert read_retry_after_ns(metadata[STATUS_KEY]) == grpc_service.NO_ROOM_RETRY_NS
        admission.give_back(100)
        assert call(b"x", timeout=DEADLINE_S) == b""
    assert admission.held_bytes == 0


def test_clients_that_send_half_a_message_lock_out_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are served beside them, and each of them is ended after a while, and counted."""
    monkeypatch.setattr(grpc_watch, "MAX_READ_NS", 0)
    monkeypatch.setattr(grpc_watch, "INTERVAL_S", 3600)
    monkeypatch.setattr(grpc_watch, "IDLE_S", 3600)
    with serve(GrpcProtocol(endpoint=ANY_PORT)) as receiver:
        slow = [HalfMessages(receiver.endpoint.port, 1, 1000, 10) for _ in range(SLOW_CLIENTS)]
        try:
            run_clients(slow, DEADLINE_S)
            assert send(receiver) == b""
            pause = threading.Event()
            while receiver.count_ends()["body_timeout"] < SLOW_CLIENTS and not pause.wait(0.01):
                receiver.watch.look(2**62)
            assert receiver.count_ends()["memory_limit"] == 0
        finally:
            for client in slow:
                client.close()


def test_slow_reads_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where more are on their way than may, the oldest go: their client is told, and what is there is read."""
    monkeypatch.setattr(grpc_watch, "MAX_READS", 3)
    with serve(GrpcProtocol(endpoint=ANY_PORT)) as receiver:
        slow = HalfMessages(receiver.endpoint.port, 7, 1000, 10)
        try:
            pause = threading.Event()
            while len(slow.ended) < 4 and not pause.wait(0.01):
                slow.receive()
                slow.send()
            assert receiver.count_ends() == {"body_timeout": 0, "read_limit": 4, "memory_limit": 0}
            assert receiver.watch.reads.count == 3
            assert send(receiver) == b""
            assert receiver.count_answers()["INVALID_ARGUMENT"] == 0
        finally:
            slow.close()


@contextmanager
def open_call(receiver: GrpcReceiver) -> Iterator["grpc.UnaryUnaryMultiCallable[bytes, bytes]"]:
    """Hold a channel; yield what sends requests over it."""
    with grpc.insecure_channel(str(receiver.endpoint)) as channel:
        yield channel.unary_unary(EXPORT_METHOD)


def make_tls(parties: Parties, client_ca_file: str | None = None) -> TlsServer:
    """Return the server's settings."""
    pair = parties.server
    return TlsServer(cert_file=pair.cert_file, key_file=pair.key_file, client_ca_file=client_ca_file)


def trust(parties: Parties, *, is_client_known: bool = False) -> grpc.ChannelCredentials:
    """Return the credentials of a client that trusts our authority."""
    pair = (parties.client.key_file, parties.client.cert_file) if is_client_known else None
    key, certificate = (Path(name).read_bytes() for name in pair) if pair is not None else (None, None)
    return grpc.ssl_channel_credentials(Path(parties.ours.ca_file).read_bytes(), key, certificate)
