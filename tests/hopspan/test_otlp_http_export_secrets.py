"""Credentials in headers of OTLP/HTTP: sent to the peer, and told to nobody else, whatever the peer answers."""

import io
import logging
from collections.abc import Iterator

import pytest

from hopspan.export_errors import ExportError, ExportResult
from hopspan.header_secrets import MAX_MESSAGE_CHARACTERS
from hopspan.http_export_settings import OtlpHttpExporterSettings
from hopspan.logs import Log, catch_library_logs
from hopspan.otlp_http_export import PROTOBUF_TYPE, OtlpHttpExporter
from hopspan.protowire import write_integer, write_length
from hopspan.settings import LogLevel
from tests.hopspan.http_peer import RESET, Answer, HttpPeer

TOKEN = "open-sesame-0123456789"  # noqa: S105 - opens nothing
HEADER = f"Bearer {TOKEN}"
TYPE = {"Content-Type": PROTOBUF_TYPE}


@pytest.fixture
def exporter(peer: HttpPeer) -> Iterator[OtlpHttpExporter]:
    """An exporter to `peer`, with credentials."""
    exporter = OtlpHttpExporter(
        OtlpHttpExporterSettings(endpoint=peer.url(), headers={"Authorization": HEADER, "X-Tenant": "a"})
    )
    yield exporter
    exporter.close()


def fail(peer: HttpPeer, exporter: OtlpHttpExporter, answer: Answer) -> ExportError:
    """Return the error of an export that gets this answer."""
    peer.behave = lambda _request: answer
    with pytest.raises(ExportError) as caught:
        exporter.export(b"x")
    return caught.value


def test_wrong_token_is_refused_for_good(peer: HttpPeer, exporter: OtlpHttpExporter) -> None:
    """The error tells the peer's words but for the token; a tenant's name of one letter is no secret."""
    error = fail(peer, exporter, Answer(401, f"invalid token {TOKEN} in {HEADER!r} of a tenant".encode()))
    assert str(error) == "UNAUTHENTICATED: HTTP 401: invalid token *** in '***' of a tenant"
    assert "sesame" not in repr(error)


def test_token_in_a_partial_success_is_not_told(peer: HttpPeer, exporter: OtlpHttpExporter) -> None:
    """What a peer says of rejected spans is treated like its errors."""
    said = write_length(1, write_integer(1, 3) + write_length(2, f"quota of {TOKEN} used up".encode()))
    peer.behave = lambda _request: Answer(200, said, TYPE)
    assert exporter.export(b"x") == ExportResult(3, "quota of *** used up")


@pytest.mark.parametrize("before", range(0, MAX_MESSAGE_CHARACTERS + 2, 7))
def test_part_of_a_token_is_not_left_where_a_message_is_cut(
    peer: HttpPeer, exporter: OtlpHttpExporter, before: int
) -> None:
    """A long message is cut behind the replacement, not before it."""
    text = "." * before + TOKEN + "." * MAX_MESSAGE_CHARACTERS
    assert "open" not in fail(peer, exporter, Answer(401, text.encode())).message


def test_token_is_in_no_line_of_the_log(peer: HttpPeer, exporter: OtlpHttpExporter) -> None:
    """At the most talkative level, for every way to fail, libraries included, whatever the peer repeats."""
    stream = io.StringIO()
    log = Log(LogLevel.DEBUG, stream)
    handler = catch_library_logs(log)
    said = f"{HEADER} is not welcome".encode()
    answers: list[Answer | list[bytes]] = [
        Answer(401, said),
        Answer(503, write_length(2, said), TYPE),
        [b"HTTP/1.1 400 " + said + b"\r\n\r\n" + said],
        [b"HTTP/1.1 400 Bad\r\n" + said + b"\r\n: " + said + b"\r\n\r\n"],
        [b"HTTP/1.1 400 Bad\r\nContent-Length: 1, 2\r\nX: " + said + b"\r\n\r\n"],
        [said + b"\r\n"],
        [RESET],
    ]
    told = []
    for answer in answers:
        peer.behave = lambda _request, answer=answer: answer  # type: ignore[misc]  # bound at once
        with pytest.raises(ExportError) as caught:
            exporter.export(b"x")
        told.append(str(caught.value))
    peer.close()
    with pytest.raises(ExportError) as caught:
        exporter.export(b"x")
    for number, text in enumerate([*told, str(caught.value)]):
        # Else repeats of one message would be held back.
        log.error(str(number), error=text)
    logging.getLogger().removeHandler(handler)
    assert stream.getvalue().count("is not welcome") == 3
    assert TOKEN not in stream.getvalue()
