"""Which requests over HTTP are handled by the thread that takes them in."""

import gzip
import threading
from collections.abc import Callable

import pytest

from collector_plugin.http_app import QUICK_BYTES
from collector_plugin.http_settings import HttpServer
from hopspan.export_errors import ExportResult, RetryableExportError
from tests.collector_plugin.http_bench import JSON, OTLP, OTLP_PATH, PROTOBUF, ZIPKIN, ZIPKIN_PATH, HttpBench


@pytest.mark.parametrize(
    ("settings", "waits", "request_", "is_quick"),
    [
        (OTLP, False, (b"x", PROTOBUF, False), True),
        (OTLP, True, (b"x", PROTOBUF, False), False),
        (OTLP, False, (bytes(QUICK_BYTES), PROTOBUF, False), True),
        (OTLP, False, (bytes(QUICK_BYTES + 1), PROTOBUF, False), False),
        (OTLP, False, (b"x", PROTOBUF, True), False),
        (OTLP, False, (b"x", JSON, False), False),
        (ZIPKIN, False, (b"[]", JSON, False), True),
        (ZIPKIN, False, (b"x", PROTOBUF, False), False),
    ],
)
def test_what_waits_for_nobody_takes_no_thread(
    settings: HttpServer,
    waits: bool,  # noqa: FBT001 - a table's column
    request_: tuple[bytes, str, bool],
    is_quick: bool,  # noqa: FBT001 - a table's column
) -> None:
    """Small, plain requests are handled where they come, unless a peer is waited for; failures are told as ever."""
    bench = HttpBench(settings, waits=waits)
    body, content_type, is_packed = request_
    names: list[str] = []

    def note(_is_wanted: Callable[[], bool]) -> ExportResult:
        names.append(threading.current_thread().name)
        if len(names) > 1:
            raise RetryableExportError("UNAVAILABLE", "away")
        return ExportResult()

    bench.outcome = note
    try:
        for is_success in (True, False):
            reply = bench.send(
                gzip.compress(body) if is_packed else body,
                path=ZIPKIN_PATH if settings is ZIPKIN else OTLP_PATH,
                headers={"Content-Encoding": "gzip"} if is_packed else None,
                content_type=content_type,
            )
            assert reply.status // 100 == (2 if is_success else 5)
    finally:
        bench.close()
    assert names == ["http" if is_quick else "http handler"] * 2
    assert bench.admission.held_bytes == 0
