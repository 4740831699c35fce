"""What the HTTP receiver has libraries log: faults of ours by their type, and nothing of what clients send."""

import io
import json
import logging
from collections.abc import Callable, Iterator

import msgspec
import pytest

from collector_plugin.bearer_auth import BearerAuth
from hopspan.export_errors import ExportResult
from hopspan.logs import Log, catch_library_logs
from hopspan.settings import LogLevel
from tests.collector_plugin.http_bench import OTLP, HttpBench, write_post

SECRET = "s3cret"  # noqa: S105 - of the test
HEADERS = {"Authorization": f"Bearer {SECRET}"}


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What is logged, down to the least important line."""
    stream = io.StringIO()
    handler = catch_library_logs(Log(LogLevel.DEBUG, stream))
    yield stream
    logging.getLogger().removeHandler(handler)


@pytest.fixture
def bench(stream: io.StringIO) -> Iterator[HttpBench]:
    """A receiver that wants a token."""
    assert not stream.closed
    bench = HttpBench(msgspec.structs.replace(OTLP, auth=BearerAuth(tokens=(SECRET,))))
    yield bench
    bench.close()


def test_clients_faults_are_not_logged(bench: HttpBench, stream: io.StringIO) -> None:
    """They are counted: a client that fills a log with lines is one attack more."""
    authorization = f"Authorization: Bearer {SECRET}"
    bench.talk(b"GARBAGE " + SECRET.encode() + b"\r\n\r\n")
    bench.talk(write_post(b"zz\r\nspans", authorization, "Transfer-Encoding: chunked"))
    bench.talk(write_post(b"", authorization, "X: " + "x" * 40_000))
    bench.talk(write_post(b"spans", authorization, "Connection: Upgrade, close", "Upgrade: websocket"))
    assert bench.send(headers={"Authorization": "Bearer wrong"}).status == 401
    assert bench.send(b"not gzip", headers={**HEADERS, "Content-Encoding": "gzip"}).status == 400
    with bench.connect() as connection:
        connection.sendall(write_post(b"spans", authorization)[:-1])
    bench.receiver.stop(0)
    assert stream.getvalue() == ""


def test_fault_of_ours_is_logged_by_its_type(bench: HttpBench, stream: io.StringIO) -> None:
    """The text of an error may hold what the client sent."""

    def fail(_is_wanted: Callable[[], bool]) -> ExportResult:
        raise KeyError(SECRET)

    bench.outcome = fail
    assert bench.send(headers=HEADERS).status == 500
    (line,) = stream.getvalue().splitlines()
    said = json.loads(line)
    assert (said["text"], said["exception"]) == ("a request could not be handled", "KeyError")
    assert SECRET not in line
