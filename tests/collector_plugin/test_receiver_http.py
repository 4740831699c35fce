"""The HTTP receiver on a real socket: which answer each outcome becomes, and what is refused before it gets in."""

import gzip
import http.client
import zlib
from collections.abc import Callable, Iterator

import msgspec
import pytest
import zstandard

from collector_plugin.bearer_auth import BearerAuth
from hopspan.export_errors import ExportResult, PermanentExportError, RetryableExportError
from hopspan.protowire import WireError, write_integer, write_length
from tests.collector_plugin.http_bench import (
    DEADLINE_S,
    JSON,
    OTLP,
    OTLP_PATH,
    PROTOBUF,
    ZIPKIN,
    ZIPKIN_PATH,
    HttpBench,
    exchange,
    read_code,
    write_post,
)

DATA = bytes(range(256)) * 1_000


@pytest.fixture
def bench() -> Iterator[HttpBench]:
    """An OTLP receiver and a client."""
    bench = HttpBench()
    yield bench
    bench.close()


@pytest.fixture
def zipkin() -> Iterator[HttpBench]:
    """A Zipkin receiver and a client."""
    bench = HttpBench(ZIPKIN)
    yield bench
    bench.close()


def raising(error: Exception) -> Callable[[Callable[[], bool]], ExportResult]:
    """Return an outcome that is this error."""

    def raise_error(_is_wanted: Callable[[], bool]) -> ExportResult:
        raise error

    return raise_error


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        (None, DATA),
        ("identity", DATA),
        ("gzip", gzip.compress(DATA)),
        ("deflate", zlib.compress(DATA)),
        ("zstd", zstandard.compress(DATA)),
    ],
)
def test_request_gets_in_byte_for_byte(bench: HttpBench, coding: str | None, packed: bytes) -> None:
    """Plain or packed; success is an empty answer in the request's content type, and what was held is given back."""
    reply = bench.send(packed, headers={"Content-Encoding": coding} if coding else None)
    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["content-type"] == PROTOBUF
    assert bench.requests.get_nowait() == DATA
    assert bench.receiver.count_answers()["200"] == 1
    assert bench.admission.held_bytes == 0


@pytest.mark.parametrize("content_type", [JSON, "application/json; charset=utf-8", "Application/JSON"])
def test_json_is_read_and_answered_as_json(bench: HttpBench, content_type: str) -> None:
    """On the same port and path."""
    reply = bench.send(b"{}", content_type=content_type)
    assert (reply.status, reply.headers["content-type"], reply.body) == (200, JSON, b"{}")
    assert bench.requests.get_nowait() == b"read {}"


def test_partial_success_is_told(bench: HttpBench) -> None:
    """What was left out is told with its reason."""
    bench.outcome = lambda _is_wanted: ExportResult(3, "bad")
    assert bench.send().body == write_length(1, write_integer(1, 3) + write_length(2, b"bad"))
    body = bench.send(content_type=JSON).body
    assert msgspec.json.decode(body) == {"partialSuccess": {"rejectedSpans": "3", "errorMessage": "bad"}}


def test_unreadable_json_is_bad_data(bench: HttpBench) -> None:
    """The reader's error is the client's answer, in JSON; nothing gets in."""

    def refuse(_data: bytes) -> bytes:
        raise WireError("resourceSpans: expected a list")

    bench.read = refuse
    reply = bench.send(b"[]", content_type=JSON)
    assert (reply.status, reply.headers["content-type"]) == (400, JSON)
    assert msgspec.json.decode(reply.body) == {
        "code": 3,
        "message": "not an ExportTraceServiceRequest: resourceSpans: expected a list",
    }
    assert bench.requests.empty()


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (WireError("cut"), 400, 3),
        (RetryableExportError("UNAVAILABLE", "down"), 503, 14),
        (PermanentExportError("INVALID_ARGUMENT", "no"), 400, 3),
        (PermanentExportError("UNAUTHENTICATED", "no"), 500, 16),
    ],
    ids=repr,
)
def test_failure_has_its_status(bench: HttpBench, error: Exception, status: int, code: int) -> None:
    """Each is counted, and told in a google.rpc.Status."""
    bench.outcome = raising(error)
    reply = bench.send()
    assert reply.status == status
    assert read_code(reply.body) == code
    assert bench.receiver.count_answers()[str(status)] == 1


def test_client_is_told_when_to_come_again(bench: HttpBench) -> None:
    """The backend's wish reaches the client."""
    bench.outcome = raising(RetryableExportError("UNAVAILABLE", "busy", 2_500_000_000))
    assert bench.send().headers["retry-after"] == "3"


def test_fault_of_ours_harms_one_request(bench: HttpBench) -> None:
    """An error that nobody foresaw is a 500, and the connection goes on."""
    client = http.client.HTTPConnection("127.0.0.1", bench.port, timeout=DEADLINE_S)
    bench.outcome = raising(ZeroDivisionError())
    headers = {"Content-Type": PROTOBUF}
    assert exchange(client, b"x", OTLP_PATH, "POST", headers).status == 500
    bench.outcome = lambda _is_wanted: ExportResult()
    assert exchange(client, b"x", OTLP_PATH, "POST", headers).status == 200
    client.close()
    assert bench.admission.held_bytes == 0


@pytest.mark.parametrize(
    ("changes", "status", "header"),
    [
        ({"path": "/v1/metrics"}, 404, None),
        ({"path": "/"}, 404, None),
        ({"method": "GET"}, 405, ("allow", "POST")),
        ({"method": "PUT"}, 405, ("allow", "POST")),
        ({"method": "OPTIONS"}, 405, ("allow", "POST")),
        ({"content_type": None}, 415, None),
        ({"content_type": "text/plain"}, 415, None),
        ({"content_type": "application/x-protobuf-but-not"}, 415, None),
        ({"headers": {"Content-Encoding": "br"}}, 415, ("accept-encoding", "identity, gzip, deflate, zstd")),
        ({"headers": {"Content-Encoding": "gzip, gzip"}}, 415, ("accept-encoding", "identity, gzip, deflate, zstd")),
        ({"headers": {"Content-Encoding": "gzip"}}, 400, None),
    ],
    ids=str,
)
def test_other_requests_are_told_what_is_wrong(
    bench: HttpBench, changes: dict[str, str | dict[str, str] | None], status: int, header: tuple[str, str] | None
) -> None:
    """Path, method, content type, coding, content: each has its status, and none gets in."""
    reply = bench.send(**changes)  # type: ignore[arg-type]  # a table's column
    assert reply.status == status
    assert header is None or reply.headers[header[0]] == header[1]
    assert bench.requests.empty()
    assert bench.receiver.count_answers()[str(status)] == 1


@pytest.mark.parametrize("coding", [None, "gzip", "zstd"])
def test_too_large_a_request_is_refused(bench: HttpBench, coding: str | None) -> None:
    """The limit holds as it comes and unpacked: a small archive of a large request is refused too."""
    data = bytes((1 << 20) + 1)
    packed = {None: data, "gzip": gzip.compress(data), "zstd": zstandard.compress(data)}[coding]
    reply = bench.send(packed, headers={"Content-Encoding": coding} if coding else None)
    assert reply.status == 413
    assert read_code(reply.body) == 8
    assert bench.requests.empty()
    assert bench.admission.held_bytes == 0


def test_largest_request_gets_in(bench: HttpBench) -> None:
    """To the last byte, at once and in chunks."""
    data = bytes(1 << 20)
    assert bench.send(data).status == 200
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)
    (reply,) = bench.talk(write_post(chunked, "Transfer-Encoding: chunked", "Connection: close"))
    assert reply.status == 200
    assert bench.requests.get_nowait() == bench.requests.get_nowait() == data


def test_token_lets_in() -> None:
    """Without one, and with a wrong one, the client is told how to ask; nothing of the token comes back."""
    bench = HttpBench(msgspec.structs.replace(OTLP, auth=BearerAuth(tokens=("s3cret", "other"))))
    try:
        reply = bench.send()
        assert (reply.status, reply.headers["www-authenticate"]) == (401, 'Bearer realm="hopspan"')
        assert read_code(reply.body) == 16
        reply = bench.send(headers={"Authorization": "Bearer s3cre"})
        assert reply.headers["www-authenticate"] == 'Bearer realm="hopspan", error="invalid_token"'
        assert reply.status == 401
        assert bench.requests.empty()
        assert bench.send(headers={"Authorization": "bearer other"}).status == 200
    finally:
        bench.close()


@pytest.mark.parametrize(
    ("body", "content_type", "request_bytes"),
    [
        (b'[{"id":"1"}]', JSON, b'[{"id":"1"}]'),
        (b'[{"id":"1"}]', None, b'[{"id":"1"}]'),
        (b"", JSON, b"[]"),
        (b"\x0a\x00", PROTOBUF, b"read \x0a\x00"),
    ],
)
def test_zipkin_is_taken(zipkin: HttpBench, body: bytes, content_type: str | None, request_bytes: bytes) -> None:
    """JSON as it is, protobuf by its reader, and nothing for no spans; success is 202 without a body."""
    reply = zipkin.send(body, path=ZIPKIN_PATH, content_type=content_type)
    assert (reply.status, reply.body) == (202, b"")
    assert zipkin.requests.get_nowait() == request_bytes


def test_zipkin_is_refused_in_text(zipkin: HttpBench) -> None:
    """As Zipkin's own server does it."""
    zipkin.outcome = raising(WireError("no array"))
    reply = zipkin.send(b"{}", path=ZIPKIN_PATH, content_type=JSON)
    assert (reply.status, reply.body) == (400, b"not a list of spans: no array\n")
    assert reply.headers["content-type"].startswith("text/plain")
    assert zipkin.send(path=ZIPKIN_PATH, content_type="application/x-thrift").status == 415
    assert zipkin.send(path=OTLP_PATH).status == 404
