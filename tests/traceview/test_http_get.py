"""The door to backends: what it asks, what it takes for an answer, and that nothing keeps it for long."""

import socket
import threading
from pathlib import Path

import pytest

from hopspan.http_url import read_http_url
from hopspan.settings import TlsClient
from tests.traceview.fake_backend import (
    Behaviour,
    FakeBackend,
    drip,
    hang,
    make_answer,
    pour,
    pour_chunks,
    reset,
)
from traceview import http_get
from traceview.http_get import Answer, Backend, BackendError, HttpGetter

SHORT_NS = 300_000_000
SECRET = "Bearer sesame-sesame"  # noqa: S105 - made up


def get(answer: bytes | Behaviour, timeout_ns: int = 30 * 10**9) -> Answer:
    with FakeBackend({"/x": answer}) as backend:
        return HttpGetter(Backend(url=backend.url, timeout_ns=timeout_ns)).get("/x")


def test_request() -> None:
    """One GET with the backend's path before the target, the given headers, and a name for ourselves."""
    with FakeBackend({"/jaeger/api?a=b": make_answer(200, b"[]")}) as backend:
        url = read_http_url(f"{backend.url}/jaeger/")
        answer = HttpGetter(Backend(url=url, headers={"Authorization": SECRET, "host": "other"})).get("/api?a=b")
        (request,) = backend.requests
    assert answer == Answer(200, b"[]")
    head, *lines = request.split("\r\n")
    assert head == "GET /jaeger/api?a=b HTTP/1.1"
    assert f"Authorization: {SECRET}" in lines
    assert "host: other" in lines
    assert not any(line.startswith("Host:") for line in lines)
    assert any(line.startswith("User-Agent: hopspan/") for line in lines)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n{}",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    ],
    ids=["length", "chunks", "until-the-end", "interim"],
)
def test_bodies(answer: bytes) -> None:
    """A body is framed by its length, by chunks, or by the end of the connection."""
    assert get(answer) == Answer(200, b"{}")


def test_any_status_is_an_answer() -> None:
    """Errors and redirects are answers; where they lead to is kept, and not followed."""
    assert get(make_answer(302, b"go", "Location: http://elsewhere/")) == Answer(302, b"go", "http://elsewhere/")
    assert get(make_answer(503, b"tired")) == Answer(503, b"tired")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "its answer is not HTTP/1.1"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "its answer is not HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "its answer ends 7 bytes early"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{}", "its answer is not HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "its answer is not HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 101 + b"\r\n", "its answer is not HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n", "its answer has more than 64 MiB"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", "its answer is packed"),
        (reset, "Connection reset by peer"),
    ],
)
def test_what_is_no_answer(answer: bytes | Behaviour, words: str) -> None:
    """Garbage, halves of answers and broken connections are told as such, under the backend's address."""
    with pytest.raises(BackendError, match=r"^http://127\.0\.0\.1:\d+: ") as caught:
        get(answer)
    assert words in str(caught.value)


@pytest.mark.parametrize("behaviour", [hang, drip])
def test_time_is_bounded(behaviour: Behaviour) -> None:
    """Neither silence nor an answer that comes in single bytes keeps it beyond the timeout."""
    with pytest.raises(BackendError, match=r"no whole answer within 0\.3 s"):
        get(behaviour, SHORT_NS)


@pytest.mark.parametrize(("behaviour", "words"), [(pour, "more than 1 MiB"), (pour_chunks, "does not end")])
def test_bytes_are_bounded(behaviour: Behaviour, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body without an end is left after the limit; so is one that consists of frames."""
    monkeypatch.setattr(http_get, "MAX_BODY_BYTES", 1 << 20)
    monkeypatch.setattr(http_get, "MAX_FRAME_BYTES", 4 << 20)
    with pytest.raises(BackendError, match=words):
        get(behaviour)


def test_nobody_listens() -> None:
    """An address that nobody listens at is named."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = read_http_url(f"http://127.0.0.1:{server.getsockname()[1]}")
    with pytest.raises(BackendError, match=f"^{url}: Connection refused$"):
        HttpGetter(Backend(url=url)).get("/")


def test_a_plain_server_is_no_tls_server() -> None:
    """Speaking TLS to a plain server is told as a fault of TLS."""

    def answer_plainly(connection: socket.socket, _: threading.Event) -> None:
        connection.sendall(make_answer(200, b"[]"))

    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(10)
                answer_plainly(connection, threading.Event())

        thread = threading.Thread(target=serve)
        thread.start()
        url = read_http_url(f"https://127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(BackendError, match=r"TLS: |reset"):
            HttpGetter(Backend(url=url)).get("/")
        thread.join()


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        ({"headers": {"Authorization": "two\r\nlines"}}, "headers.Authorization: its value has characters"),
        ({"headers": {"Content-Length": "3"}}, "headers.Content-Length: is not a header name that can be set"),
        ({"tls": TlsClient(ca_file="x.pem")}, "tls.ca_file: has no effect while the URL begins with http:"),
    ],
)
def test_what_cannot_be_sent(backend: dict[str, object], words: str) -> None:
    """Headers that would be another request, and TLS files without TLS, are refused before anything is sent."""
    with pytest.raises(BackendError) as caught:
        HttpGetter(Backend(url=read_http_url("http://localhost"), **backend))  # type: ignore[arg-type] # one of each
    assert words in str(caught.value)


def test_tls_files_that_cannot_be_used(tmp_path: Path) -> None:
    """A file of authorities that is none is named."""
    (tmp_path / "ca.pem").write_text("no certificate")
    tls = TlsClient(ca_file=str(tmp_path / "ca.pem"))
    with pytest.raises(BackendError, match=r"ca\.pem has no certificate"):
        HttpGetter(Backend(url=read_http_url("https://localhost"), tls=tls))


def test_credentials_are_not_repeated() -> None:
    """A backend that sends our headers back does not put them on our screen; nor are there lines and escapes."""
    getter = HttpGetter(Backend(url=read_http_url("http://localhost"), headers={"Authorization": SECRET}))
    assert getter.show(f"no:\r\n\x1b[2J {SECRET} is wrong") == "no: \N{REPLACEMENT CHARACTER}[2J *** is wrong"
