"""The exporter over HTTP on a real socket: every answer that a peer can give."""

import threading
import time
from collections.abc import Iterator

import msgspec
import pytest

from hopspan.export_errors import ExportError, ExportResult, PermanentExportError, RetryableExportError
from hopspan.header_secrets import MAX_MESSAGE_CHARACTERS
from hopspan.http_export_settings import OtlpHttpExporterSettings
from hopspan.otlp_http_export import PROTOBUF_TYPE, OtlpHttpExporter
from hopspan.protowire import write_integer, write_length
from hopspan.rpc_status import write_status
from testbed.deadline import wait_until
from tests.hopspan.http_peer import DEADLINE_S, RESET, Answer, HttpPeer, Request

TOKEN = "open-sesame-0123456789"  # noqa: S105 - opens nothing
HEADER = f"Bearer {TOKEN}"
RETRYABLE = (429, 502, 503, 504)
TYPE = {"Content-Type": PROTOBUF_TYPE}


@pytest.fixture
def exporter(peer: HttpPeer) -> Iterator[OtlpHttpExporter]:
    """An exporter to `peer`, with credentials."""
    exporter = open_exporter(peer)
    yield exporter
    exporter.close()


def open_exporter(peer: HttpPeer, **settings: object) -> OtlpHttpExporter:
    base = OtlpHttpExporterSettings(endpoint=peer.url(), headers={"Authorization": HEADER, "X-Tenant": "a"})
    return OtlpHttpExporter(msgspec.structs.replace(base, **settings))


def fail(peer: HttpPeer, exporter: OtlpHttpExporter, answer: Answer) -> ExportError:
    """Return the error of an export that gets this answer."""
    peer.behave = lambda _request: answer
    with pytest.raises(ExportError) as caught:
        exporter.export(b"x")
    return caught.value


def test_request_arrives_byte_for_byte(peer: HttpPeer, exporter: OtlpHttpExporter) -> None:
    """What is exported is what the peer gets, at OTLP's path, with a User-Agent as OTLP asks for."""
    assert exporter.export(b"any bytes \x00\xff") == ExportResult()
    request = peer.take()
    assert (request.path, request.body) == ("/v1/traces", b"any bytes \x00\xff")
    assert request.headers["content-type"] == "application/x-protobuf"
    assert request.headers["authorization"] == HEADER
    assert request.headers["user-agent"].startswith("hopspan/")
    assert "OTel-OTLP-Exporter-Python/" in request.headers["user-agent"]


def test_request_beyond_4_mib_is_passed_on(peer: HttpPeer, exporter: OtlpHttpExporter) -> None:
    """An application's single large request is the peer's to judge, not ours."""
    exporter.export(bytes(5 << 20))
    assert len(peer.take().body) == 5 << 20


@pytest.mark.parametrize("status", [302, 307, 400, 401, 403, 404, 408, 413, 415, 429, 500, 501, 502, 503, 504, 505])
def test_failure_is_retryable_as_otlp_has_it(peer: HttpPeer, exporter: OtlpHttpExporter, status: int) -> None:
    """Four statuses are worth another attempt, all others are not; the peer's Status says why."""
    error = fail(peer, exporter, Answer(status, write_length(2, b"no such luck"), TYPE))
    assert isinstance(error, RetryableExportError if status in RETRYABLE else PermanentExportError)
    assert error.message.startswith(f"HTTP {status}: no such luck")
    assert getattr(error, "retry_after_ns", None) is None


def test_peer_that_says_when_is_asked_again_then(peer: HttpPeer, exporter: OtlpHttpExporter) -> None:
    """Seconds, a date on the peer's clock, or RetryInfo."""
    in_a_minute = {"Retry-After": "Sun, 06 Nov 1994 08:50:37 GMT", "Date": "Sun, 06 Nov 1994 08:49:37 GMT"}
    for headers, status, expected_ns in (
        ({"Retry-After": "3"}, b"", 3 * 10**9),
        (TYPE, write_status(14, "busy", 1_500_000_000), 1_500_000_000),
        ({}, b"", None),
    ):
        error = fail(peer, exporter, Answer(503, status, headers))
        assert isinstance(error, RetryableExportError)
        assert error.retry_after_ns == expected_ns
    head = "".join(f"{name}: {value}\r\n" for name, value in in_a_minute.items())
    peer.behave = lambda _request: [f"HTTP/1.1 429 Slow down\r\nContent-Length: 0\r\n{head}\r\n".encode()]
    with pytest.raises(RetryableExportError) as caught:
        exporter.export(b"x")
    assert caught.value.retry_after_ns == 60 * 10**9


def test_date_counts_from_our_clock_where_the_peer_tells_none(peer: HttpPeer, exporter: OtlpHttpExporter) -> None:
    """Peers without a clock of their own are rare, and lawful."""
    until = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 3600))
    head = f"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: {until}\r\n\r\n".encode()
    peer.behave = lambda _request: [head]
    with pytest.raises(RetryableExportError) as caught:
        exporter.export(b"x")
    assert caught.value.retry_after_ns is not None
    assert 3000 * 10**9 < caught.value.retry_after_ns <= 3600 * 10**9


def test_partial_success_is_told(peer: HttpPeer, exporter: OtlpHttpExporter) -> None:
    """A peer may take the request and leave spans out; that is no failure."""
    partial = write_length(1, write_integer(1, 3) + write_length(2, b"three\nwere bad"))
    peer.behave = lambda _request: Answer(200, partial, TYPE)
    assert exporter.export(b"x") == ExportResult(3, "three were bad")


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"\xff\xff", TYPE),
        Answer(200, b"<html>OK</html>", {"Content-Type": "text/html"}),
        Answer(200, write_length(1, write_integer(1, 3))),
        Answer(202, b"later"),
        Answer(204),
        Answer(200, bytes(5 << 20), TYPE),
    ],
    ids=["no protobuf", "a page", "no type", "202", "204", "giant"],
)
def test_odd_answer_is_success(peer: HttpPeer, exporter: OtlpHttpExporter, answer: Answer) -> None:
    """The status counts: the spans are there, whatever else was said."""
    peer.behave = lambda _request: answer
    assert exporter.export(b"x") == ExportResult()


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Answer(500, b"plain\r\n\twords", {"Content-Type": "text/plain"}), "plain words"),
        (Answer(500, b'{"message": "no"}', {"Content-Type": "application/json"}), '{"message": "no"}'),
        (Answer(500, write_length(2, b"cut")[:-1], TYPE), ""),
        (Answer(500, write_length(2, b"whole") + b"\xff", TYPE), "whole"),
        (Answer(500, b"\xff\xfe"), "\ufffd\ufffd"),
        (Answer(500), ""),
    ],
)
def test_text_of_a_refusal_is_told(peer: HttpPeer, exporter: OtlpHttpExporter, answer: Answer, text: str) -> None:
    """Of a Status its message, of anything else the words, on one line."""
    error = fail(peer, exporter, answer)
    assert error.message == (f"HTTP 500: {text}" if text else "HTTP 500")


def test_giant_refusal_is_cut(peer: HttpPeer, exporter: OtlpHttpExporter) -> None:
    """Logs are not flooded."""
    error = fail(peer, exporter, Answer(503, b"ab" * (3 << 20)))
    assert isinstance(error, RetryableExportError)
    assert len(error.message) == len("HTTP 503: ") + MAX_MESSAGE_CHARACTERS


def test_flapping_peer_is_told_as_it_is(peer: HttpPeer, exporter: OtlpHttpExporter) -> None:
    """Each call tells how this attempt ended, and none is made twice."""
    outcomes = ["ok", "reset", "busy", "ok", "gone", "refused", "ok"]
    waiting = iter(outcomes)

    def behave(_request: Request) -> Answer | list[bytes]:
        answers: dict[str, Answer | list[bytes]] = {
            "ok": Answer(),
            "reset": [RESET],
            "busy": Answer(503),
            "gone": [],
            "refused": Answer(400),
        }
        return answers[next(waiting)]

    peer.behave = behave
    told: list[tuple[type[ExportError], str] | None] = []
    for _ in outcomes:
        try:
            exporter.export(b"x")
        except ExportError as error:
            told.append((type(error), error.code))
        else:
            told.append(None)
    lost, refused = (RetryableExportError, "UNAVAILABLE"), (PermanentExportError, "INVALID_ARGUMENT")
    assert told == [None, lost, lost, None, lost, refused, None]
    assert peer.received.qsize() == len(outcomes)


def test_stalled_peer_times_out(peer: HttpPeer, exporter: OtlpHttpExporter) -> None:
    """A call ends with its timeout, and is worth another attempt."""
    release = threading.Event()

    def stall(_request: Request) -> Answer:
        release.wait(DEADLINE_S)
        return Answer()

    peer.behave = stall
    with pytest.raises(RetryableExportError, match="DEADLINE_EXCEEDED"):
        exporter.export(b"x", timeout_ns=100_000_000)
    hasty = open_exporter(peer, timeout=100_000_000)
    with pytest.raises(RetryableExportError, match="DEADLINE_EXCEEDED"):
        hasty.export(b"x")
    hasty.close()
    release.set()


def test_closed_exporter_fails_as_retryable(exporter: OtlpHttpExporter) -> None:
    """A call after the end is told like one that was cut off."""
    exporter.close()
    with pytest.raises(RetryableExportError, match="CANCELLED"):
        exporter.export(b"x")


def test_close_ends_an_export_in_flight(peer: HttpPeer, exporter: OtlpHttpExporter) -> None:
    """The end of the program does not wait for a peer."""
    release = threading.Event()

    def stall(_request: Request) -> Answer:
        release.wait(DEADLINE_S)
        return Answer()

    peer.behave = stall
    outcome: list[ExportError] = []

    def export() -> None:
        try:
            exporter.export(b"x", timeout_ns=3600 * 10**9)
        except ExportError as error:
            outcome.append(error)

    thread = threading.Thread(target=export)
    thread.start()
    peer.take()
    exporter.close()
    wait_until(lambda: bool(outcome), "the export did not end", DEADLINE_S)
    thread.join()
    release.set()
    assert outcome[0].code == "CANCELLED"
