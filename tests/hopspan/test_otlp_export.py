"""The exporter on a real socket: every answer that a peer can give."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import msgspec
import pytest

from hopspan.errors import HopspanError
from hopspan.export_errors import ExportError, ExportResult, PermanentExportError, RetryableExportError
from hopspan.otlp_export import MAX_RESPONSE_BYTES, OtlpGrpcExporter
from hopspan.protowire import write_integer, write_length
from hopspan.settings import Compression, OtlpExporter, TlsClient
from hopspan.values import Endpoint
from tests.hopspan.grpc_peer import DEADLINE_S, GrpcPeer, refuse, stall

RETRYABLE = ("CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS")


@pytest.fixture
def peer() -> Iterator[GrpcPeer]:
    """A peer that takes everything."""
    peer = GrpcPeer()
    yield peer
    peer.close()


def settings_for(peer: GrpcPeer) -> OtlpExporter:
    """Return settings towards `peer`."""
    return OtlpExporter(endpoint=Endpoint("localhost", peer.port), tls=TlsClient(insecure=True))


@pytest.fixture
def exporter(peer: GrpcPeer) -> Iterator[OtlpGrpcExporter]:
    """An exporter to `peer`."""
    exporter = OtlpGrpcExporter(settings_for(peer))
    yield exporter
    exporter.close()


def test_request_arrives_byte_for_byte(peer: GrpcPeer, exporter: OtlpGrpcExporter) -> None:
    """What is exported is what the peer gets, with a User-Agent as OTLP asks for."""
    assert exporter.export(b"any bytes \x00\xff") == ExportResult()
    assert peer.take() == b"any bytes \x00\xff"
    user_agent = peer.metadata[0]["user-agent"]
    assert isinstance(user_agent, str)
    assert user_agent.startswith("hopspan/")
    assert "OTel-OTLP-Exporter-Python/" in user_agent


def test_headers_and_compression_are_sent(peer: GrpcPeer) -> None:
    """Headers are lower-cased, and gzip is what the peer unpacks."""
    settings = msgspec.structs.replace(
        settings_for(peer), headers={"Authorization": "Bearer x"}, compression=Compression.GZIP
    )
    exporter = OtlpGrpcExporter(settings)
    exporter.export(b"a" * 10_000)
    exporter.close()
    assert peer.take() == b"a" * 10_000
    assert peer.metadata[0]["authorization"] == "Bearer x"


def test_request_beyond_4_mib_is_passed_on(peer: GrpcPeer, exporter: OtlpGrpcExporter) -> None:
    """An application's single large request is the peer's to judge, not ours."""
    exporter.export(bytes(5 << 20))
    assert len(peer.take()) == 5 << 20


@pytest.mark.parametrize("code", list(grpc.StatusCode)[1:], ids=lambda code: code.name)
def test_failure_is_retryable_as_otlp_has_it(
    peer: GrpcPeer, exporter: OtlpGrpcExporter, code: grpc.StatusCode
) -> None:
    """Six codes are worth another attempt, all others are not; the library's error is the cause."""
    peer.behave = refuse(code, "no")
    expected = RetryableExportError if code.name in RETRYABLE else PermanentExportError
    with pytest.raises(expected) as caught:
        exporter.export(b"x")
    assert (caught.value.code, caught.value.message) == (code.name, "no")
    assert getattr(caught.value, "retry_after_ns", None) is None
    assert isinstance(caught.value.__cause__, grpc.RpcError)


@pytest.mark.parametrize("code", list(grpc.StatusCode)[1:], ids=lambda code: code.name)
def test_peer_that_says_when_is_asked_again_then(
    peer: GrpcPeer, exporter: OtlpGrpcExporter, code: grpc.StatusCode
) -> None:
    """RetryInfo is told for the six codes, makes RESOURCE_EXHAUSTED a seventh, and turns no refusal into less."""
    peer.behave = refuse(code, "slow down", 1_500_000_000)
    with pytest.raises(ExportError) as caught:
        exporter.export(b"x")
    is_retryable = code.name in {*RETRYABLE, "RESOURCE_EXHAUSTED"}
    assert isinstance(caught.value, RetryableExportError) == is_retryable
    if isinstance(caught.value, RetryableExportError):
        assert caught.value.retry_after_ns == 1_500_000_000


def test_partial_success_is_told(peer: GrpcPeer, exporter: OtlpGrpcExporter) -> None:
    """A peer may take the request and leave spans out; that is no failure."""
    partial = write_length(1, write_integer(1, 3) + write_length(2, b"three were bad"))
    peer.behave = lambda _request, _context: partial
    assert exporter.export(b"x") == ExportResult(3, "three were bad")


def test_unreadable_answer_is_success(peer: GrpcPeer, exporter: OtlpGrpcExporter) -> None:
    """The status counts: the spans are there, whatever else was said."""
    peer.behave = lambda _request, _context: b"\xff\xff"
    assert exporter.export(b"x") == ExportResult()


def test_endless_answer_is_not_read(peer: GrpcPeer, exporter: OtlpGrpcExporter) -> None:
    """An answer beyond the cap is refused instead of filling our memory."""
    peer.behave = lambda _request, _context: bytes(MAX_RESPONSE_BYTES + 1)
    with pytest.raises(PermanentExportError, match="RESOURCE_EXHAUSTED"):
        exporter.export(b"x")


def test_stalled_peer_times_out(peer: GrpcPeer, exporter: OtlpGrpcExporter) -> None:
    """A call ends with its timeout, and is worth another attempt."""
    release = threading.Event()
    peer.behave = stall(release)
    with pytest.raises(RetryableExportError, match="DEADLINE_EXCEEDED"):
        exporter.export(b"x", timeout_ns=100_000_000)
    release.set()


def test_peer_that_comes_back_is_found(peer: GrpcPeer, exporter: OtlpGrpcExporter) -> None:
    """While the peer is away calls fail at once; they succeed soon after it is back."""
    peer.close()
    with pytest.raises(RetryableExportError, match="UNAVAILABLE"):
        exporter.export(b"x")
    back = GrpcPeer(peer.port)
    deadline = time.monotonic() + DEADLINE_S
    while back.received.empty():
        assert time.monotonic() < deadline
        try:
            exporter.export(b"y")
        except RetryableExportError:
            threading.Event().wait(0.05)
    assert back.take() == b"y"
    back.close()


def test_closed_exporter_fails_as_retryable(exporter: OtlpGrpcExporter) -> None:
    """A call after the end is told like one that was cut off."""
    exporter.close()
    with pytest.raises(RetryableExportError, match="CANCELLED"):
        exporter.export(b"x")


def test_tls_is_used_unless_told_otherwise(peer: GrpcPeer) -> None:
    """A peer without TLS is not spoken to by default."""
    exporter = OtlpGrpcExporter(OtlpExporter(endpoint=Endpoint("localhost", peer.port)))
    with pytest.raises(RetryableExportError, match="UNAVAILABLE"):
        exporter.export(b"x")
    exporter.close()
    assert peer.seen.empty()


def test_absent_tls_file_is_named(tmp_path: Path) -> None:
    """A start with a wrong path says which key and which file."""
    tls = TlsClient(ca_file=str(tmp_path / "absent.pem"))
    with pytest.raises(HopspanError, match=r"ca_file: .*absent.pem cannot be read"):
        OtlpGrpcExporter(OtlpExporter(endpoint=Endpoint("localhost", 1), tls=tls))
