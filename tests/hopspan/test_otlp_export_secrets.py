"""Credentials in headers: sent to the peer, and told to nobody else, whatever the peer answers."""

import io
import logging
from collections.abc import Iterator

import grpc
import pytest

from hopspan.export_errors import ExportError, PermanentExportError
from hopspan.header_secrets import MAX_MESSAGE_CHARACTERS
from hopspan.logs import Log, catch_library_logs
from hopspan.otlp_export import OtlpGrpcExporter
from hopspan.protowire import write_integer, write_length
from hopspan.settings import LogLevel, OtlpExporter, TlsClient
from hopspan.values import Endpoint
from tests.hopspan.grpc_peer import Behaviour, GrpcPeer, refuse

TOKEN = "open-sesame-0123456789"  # noqa: S105 - opens nothing
HEADER = f"Bearer {TOKEN}"


@pytest.fixture
def peer() -> Iterator[GrpcPeer]:
    """A peer that lets in only who has the token."""
    peer = GrpcPeer()
    peer.behave = ask_for(HEADER)
    yield peer
    peer.close()


def ask_for(header: str) -> Behaviour:
    """Return the behaviour of a peer that wants the header, and repeats what it got instead."""

    def behave(_request: bytes, context: grpc.ServicerContext) -> bytes:
        got = str(dict(context.invocation_metadata())["authorization"])
        if got != header:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, f"invalid token {got.split()[1]} in header {got!r}")
        return b""

    return behave


def open_exporter(peer: GrpcPeer, header: str) -> OtlpGrpcExporter:
    headers = {"Authorization": header, "X-Tenant": "a"}
    return OtlpGrpcExporter(
        OtlpExporter(endpoint=Endpoint("localhost", peer.port), tls=TlsClient(insecure=True), headers=headers)
    )


def fail(peer: GrpcPeer, header: str) -> ExportError:
    """Return the error of an export."""
    exporter = open_exporter(peer, header)
    with pytest.raises(ExportError) as caught:
        exporter.export(b"x")
    exporter.close()
    return caught.value


def test_right_token_is_let_in(peer: GrpcPeer) -> None:
    """The header arrives as it was written."""
    exporter = open_exporter(peer, HEADER)
    exporter.export(b"x")
    exporter.close()
    assert peer.take() == b"x"


def test_wrong_token_is_refused_for_good(peer: GrpcPeer) -> None:
    """OTLP: UNAUTHENTICATED is not tried again. The error tells the peer's words but for the token."""
    error = fail(peer, "Bearer wrong-sesame-0123456789")
    assert isinstance(error, PermanentExportError)
    assert str(error) == "UNAUTHENTICATED: invalid token *** in header '***'"
    assert "sesame" not in repr(error)
    assert peer.received.empty()


@pytest.mark.parametrize("before", range(0, MAX_MESSAGE_CHARACTERS + 2, 7))
def test_part_of_a_token_is_not_left_where_a_message_is_cut(peer: GrpcPeer, before: int) -> None:
    """A long message is cut behind the replacement, not before it."""
    peer.behave = refuse(grpc.StatusCode.INTERNAL, "." * before + TOKEN + "." * MAX_MESSAGE_CHARACTERS)
    message = fail(peer, HEADER).message
    assert "open" not in message
    assert len(message) == MAX_MESSAGE_CHARACTERS


def test_short_values_leave_the_words_of_a_message_alone(peer: GrpcPeer) -> None:
    """A tenant's name of one letter is no secret."""
    peer.behave = refuse(grpc.StatusCode.PERMISSION_DENIED, "a tenant may not do that")
    assert fail(peer, HEADER).message == "a tenant may not do that"


def test_token_in_a_partial_success_is_not_told(peer: GrpcPeer) -> None:
    """What a peer says of rejected spans is treated like its errors."""
    said = write_length(1, write_integer(1, 3) + write_length(2, f"quota of {TOKEN} used up".encode()))
    peer.behave = lambda _request, _context: said
    exporter = open_exporter(peer, HEADER)
    assert exporter.export(b"x").message == "quota of *** used up"
    exporter.close()


def test_token_is_in_no_line_of_the_log(peer: GrpcPeer) -> None:
    """At the most talkative level, for every way to fail, libraries included."""
    stream = io.StringIO()
    log = Log(LogLevel.DEBUG, stream)
    handler = catch_library_logs(log)
    for code in list(grpc.StatusCode)[1:]:
        peer.behave = refuse(code, f"{HEADER} is not welcome")
        log.error(code.name, error=str(fail(peer, HEADER)))
    peer.close()
    log.error("away", error=str(fail(peer, HEADER)))
    logging.getLogger().removeHandler(handler)
    assert stream.getvalue().count("is not welcome") == len(grpc.StatusCode) - 1
    assert TOKEN not in stream.getvalue()
