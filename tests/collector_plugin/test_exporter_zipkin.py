"""The Zipkin exporter on a real socket."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from collector_plugin.exporter_zipkin import ZipkinExporter
from collector_plugin.span_request import SpanFormat
from hopspan.export_errors import ExportError, ExportResult, PermanentExportError, RetryableExportError
from hopspan.http_export_settings import ZipkinExporterSettings
from hopspan.settings import Compression
from tests.hopspan.http_peer import DEADLINE_S, RESET, Answer, HttpPeer

PATH = "/api/v2/spans"
SPANS = b'[{"traceId":"463ac35c9f6413ad","id":"a2fb4a1d1a96d312","name":"get /\xc3\xa4"}]'
TOKEN = "open-sesame-0123456789"  # noqa: S105 - opens nothing


@pytest.fixture
def peer() -> Iterator[HttpPeer]:
    """A server that answers as Zipkin does."""
    peer = HttpPeer()
    peer.behave = lambda _request: Answer(202)
    yield peer
    peer.close()


@pytest.fixture
def exporter(peer: HttpPeer) -> Iterator[ZipkinExporter]:
    """An exporter to `peer`."""
    exporter = open_exporter(peer)
    yield exporter
    exporter.close()


def open_exporter(peer: HttpPeer, **settings: object) -> ZipkinExporter:
    base = ZipkinExporterSettings(endpoint=peer.url(PATH), headers={"Api-Key": TOKEN})
    return ZipkinExporter(msgspec.structs.replace(base, **settings))


def test_spans_arrive_byte_for_byte(peer: HttpPeer, exporter: ZipkinExporter) -> None:
    """What is exported is what the server gets, as JSON, at the path that was configured."""
    assert exporter.export(SPANS) == ExportResult()
    request = peer.take()
    assert (request.path, request.body) == (PATH, SPANS)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["api-key"] == TOKEN
    assert json.loads(request.body)[0]["name"] == "get /ä"


def test_exporter_says_what_it_takes(exporter: ZipkinExporter) -> None:
    """The pipeline turns requests into this format."""
    assert exporter.format is SpanFormat.ZIPKIN


def test_spans_may_be_packed(peer: HttpPeer) -> None:
    """Zipkin unpacks gzip."""
    exporter = open_exporter(peer, compression=Compression.GZIP)
    exporter.export(SPANS * 1000)
    exporter.close()
    request = peer.take()
    assert request.headers["content-encoding"] == "gzip"
    assert request.body == SPANS * 1000


@pytest.mark.parametrize("status", [200, 202, 204])
def test_any_2xx_is_success(peer: HttpPeer, exporter: ZipkinExporter, status: int) -> None:
    """Zipkin answers 202, and what speaks like it 200 or 204; what they say beside it is no partial success."""
    peer.behave = lambda _request: Answer(status, b"" if status == 204 else b"\x0a\x02\x08\x03")
    assert exporter.export(SPANS) == ExportResult()


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (301, PermanentExportError),
        (400, PermanentExportError),
        (401, PermanentExportError),
        (413, PermanentExportError),
        (429, RetryableExportError),
        (500, PermanentExportError),
        (503, RetryableExportError),
    ],
)
def test_refusal_is_told_in_the_servers_words(
    peer: HttpPeer, exporter: ZipkinExporter, status: int, expected: type[ExportError]
) -> None:
    """As over OTLP: four statuses may be tried again; credentials are blotted out."""
    words = f"Expected a JSON_V2 encoded list, {TOKEN}".encode()
    peer.behave = lambda _request: Answer(status, words, {"Retry-After": "7"})
    with pytest.raises(expected) as caught:
        exporter.export(SPANS)
    assert caught.value.message.startswith(f"HTTP {status}: Expected a JSON_V2 encoded list, ***")
    if isinstance(caught.value, RetryableExportError):
        assert caught.value.retry_after_ns == 7 * 10**9


def test_lost_connection_is_worth_another_attempt(peer: HttpPeer, exporter: ZipkinExporter) -> None:
    """Nobody knows whether the spans arrived; Zipkin merges those that come twice."""
    peer.behave = lambda _request: [RESET]
    with pytest.raises(RetryableExportError, match="UNAVAILABLE"):
        exporter.export(SPANS)
    peer.behave = lambda _request: Answer(202)
    assert exporter.export(SPANS) == ExportResult()


def test_several_threads_may_export(peer: HttpPeer, exporter: ZipkinExporter) -> None:
    """Each request arrives once."""
    requests = [b'[{"id":"%016x"}]' % number for number in range(1, 24)]
    with ThreadPoolExecutor(4) as threads:
        for result in threads.map(exporter.export, requests, timeout=DEADLINE_S):
            assert result == ExportResult()
    assert sorted(peer.take().body for _ in requests) == requests
    assert peer.received.empty()
    assert peer.connections <= 4


def test_closed_exporter_fails_as_retryable(exporter: ZipkinExporter) -> None:
    """After the end nothing is taken."""
    exporter.close()
    with pytest.raises(RetryableExportError, match="CANCELLED"):
        exporter.export(SPANS)
