"""Our HTTP exporters against our HTTP receivers: what one plugin sends and says, the next one understands."""

import contextlib
from collections.abc import Callable, Iterator

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector_plugin.exporter_zipkin import ZipkinExporter
from collector_plugin.otlp_json_request import read_otlp_json
from hopspan.config import parse_config
from hopspan.export_errors import ExportError, ExportResult, PermanentExportError, RetryableExportError
from hopspan.http_export_settings import OtlpHttpExporterSettings, ZipkinExporterSettings
from hopspan.otlp_http_export import OtlpHttpExporter
from tests.collector_plugin.http_bench import JSON, ZIPKIN, HttpBench

REQUEST = ExportTraceServiceRequest.FromString(
    bytes.fromhex("0a20 121e 121c 0a10 000102030405060708090a0b0c0d0e0f 1208 1011121314151617".replace(" ", ""))
)


@pytest.fixture
def bench() -> Iterator[HttpBench]:
    """An OTLP receiver."""
    bench = HttpBench()
    yield bench
    bench.close()


@contextlib.contextmanager
def connect(bench: HttpBench, compression: str) -> Iterator[OtlpHttpExporter]:
    """Return an exporter to the receiver."""
    text = f"endpoint: http://localhost:{bench.port}\ncompression: {compression}\n"
    exporter = OtlpHttpExporter(parse_config(text, OtlpHttpExporterSettings))
    with contextlib.closing(exporter):
        yield exporter


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_request_arrives_byte_for_byte(bench: HttpBench, compression: str) -> None:
    """And its partial success comes back."""
    bench.outcome = lambda _is_wanted: ExportResult(3, "bad")
    with connect(bench, compression) as exporter:
        assert exporter.export(REQUEST.SerializeToString()) == ExportResult(3, "bad")
    assert bench.requests.get_nowait() == REQUEST.SerializeToString()


@pytest.mark.parametrize(
    ("error", "kind", "retry_after_ns"),
    [
        (RetryableExportError("UNAVAILABLE", "down"), RetryableExportError, None),
        (RetryableExportError("UNAVAILABLE", "busy", 2_000_000_000), RetryableExportError, 2_000_000_000),
        (RetryableExportError("RESOURCE_EXHAUSTED", "throttled"), RetryableExportError, None),
        (PermanentExportError("INVALID_ARGUMENT", "no"), PermanentExportError, None),
        (PermanentExportError("RESOURCE_EXHAUSTED", "too large"), PermanentExportError, None),
        (PermanentExportError("UNAUTHENTICATED", "no"), PermanentExportError, None),
    ],
    ids=repr,
)
def test_failure_is_the_same_on_the_other_side(
    bench: HttpBench, error: ExportError, kind: type[ExportError], retry_after_ns: int | None
) -> None:
    """To be repeated or not, and when: over two plugins as over one."""

    def fail(_is_wanted: Callable[[], bool]) -> ExportResult:
        raise error

    bench.outcome = fail
    with connect(bench, "none") as exporter, pytest.raises(kind) as caught:
        exporter.export(b"x")
    assert error.message in str(caught.value)
    assert getattr(caught.value, "retry_after_ns", None) == retry_after_ns


def test_too_large_a_request_is_told_as_such(bench: HttpBench) -> None:
    """Though the client is still sending when it is refused."""
    with connect(bench, "none") as exporter, pytest.raises(PermanentExportError, match="RESOURCE_EXHAUSTED"):
        exporter.export(bytes(30 << 20))


def test_json_becomes_the_same_request(bench: HttpBench) -> None:
    """With hexadecimal ids, as OTLP has them."""
    bench.read = read_otlp_json
    # protobuf's own mapping has base64 in their place.
    message = json_format.MessageToDict(REQUEST)
    (span,) = message["resourceSpans"][0]["scopeSpans"][0]["spans"]
    span["traceId"], span["spanId"] = "000102030405060708090a0b0c0d0e0f", "1011121314151617"
    body = str(message).replace("'", '"').encode()
    assert bench.send(body, content_type=JSON).status == 200
    assert ExportTraceServiceRequest.FromString(bench.requests.get_nowait()) == REQUEST
    reply = bench.send(b'{"resourceSpans": 1}', content_type=JSON)
    assert (reply.status, reply.headers["content-type"]) == (400, JSON)


def test_zipkin_arrives_byte_for_byte() -> None:
    """From our exporter to our receiver."""
    bench = HttpBench(ZIPKIN)
    try:
        text = f"endpoint: http://localhost:{bench.port}/api/v2/spans\ncompression: gzip\n"
        with contextlib.closing(ZipkinExporter(parse_config(text, ZipkinExporterSettings))) as exporter:
            data = b'[{"id":"0000000000000001","traceId":"0000000000000002"}]'
            assert exporter.export(data) == ExportResult()
        assert bench.requests.get_nowait() == data
    finally:
        bench.close()
