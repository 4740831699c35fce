"""The HTTP client on real sockets: connections that are kept, and whatever else a peer can do."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from hopspan import http_client as client_module
from hopspan.errors import HopspanError
from hopspan.export_errors import RetryableExportError
from hopspan.http_client import HttpClient
from hopspan.http_export_settings import ZipkinExporterSettings
from hopspan.http_url import HttpUrl
from hopspan.settings import Compression
from hopspan.user_agent import USER_AGENT
from hopspan.values import Endpoint
from testbed.deadline import wait_until
from tests.hopspan.http_peer import DEADLINE_S, Answer, HttpPeer, Request

PATH = "/take/this"


@pytest.fixture
def client(peer: HttpPeer) -> Iterator[HttpClient]:
    """A client of `peer`."""
    client = open_client(peer)
    yield client
    client.close()


def open_client(peer: HttpPeer, **settings: object) -> HttpClient:
    base = ZipkinExporterSettings(endpoint=peer.url(PATH))
    return HttpClient(msgspec.structs.replace(base, **settings), "text/plain")


def answer_raw(peer: HttpPeer, *parts: bytes) -> None:
    """Let the peer send these bytes, and then end the connection."""
    peer.behave = lambda _request: parts


def test_request_arrives_as_it_was_given(peer: HttpPeer, client: HttpClient) -> None:
    """Path, type, length, who sends it, and every byte."""
    peer.behave = lambda _request: Answer(202, b"thanks", {"Content-Type": "Text/Plain; charset=utf-8"})
    answer = client.post(b"any bytes \x00\xff")
    assert (answer.status, answer.content_type, answer.body) == (202, "text/plain", b"thanks")
    request = peer.take()
    assert (request.path, request.body) == (PATH, b"any bytes \x00\xff")
    assert request.headers == {
        "host": f"localhost:{peer.port}",
        "accept-encoding": "identity",
        "content-length": "12",
        "content-type": "text/plain",
        "user-agent": USER_AGENT,
    }


def test_gzip_is_what_the_peer_unpacks(peer: HttpPeer) -> None:
    """Compression is told in the header, and makes the request smaller."""
    client = open_client(peer, compression=Compression.GZIP)
    client.post(b"a" * 10_000)
    client.close()
    request = peer.take()
    assert request.body == b"a" * 10_000
    assert request.headers["content-encoding"] == "gzip"
    assert int(request.headers["content-length"]) < 100


def test_headers_are_sent_and_may_name_the_sender(peer: HttpPeer) -> None:
    """Configured headers come along; a User-Agent takes the place of ours."""
    client = open_client(peer, headers={"Authorization": "Bearer x", "user-agent": "other"})
    client.post(b"x")
    client.close()
    headers = peer.take().headers
    assert headers["authorization"] == "Bearer x"
    assert headers["user-agent"] == "other"


@pytest.mark.parametrize("status", [200, 204, 302, 400, 503])
def test_connection_is_used_again_whatever_the_answer(peer: HttpPeer, client: HttpClient, status: int) -> None:
    """The answer is read to its end, so that one connection is enough for 23 posts."""
    body = b"" if status == 204 else b"text" * 10_000
    peer.behave = lambda _request: Answer(status, body)
    for _ in range(23):
        assert client.post(b"x").status == status
    assert peer.connections == 1


def test_several_threads_share_connections(peer: HttpPeer, client: HttpClient) -> None:
    """Each of eight threads gets its own answers, and there are never more connections than threads."""
    peer.behave = lambda request: Answer(200, request.body[::-1])

    def post(number: int) -> bool:
        body = b"%d " % number * 1000
        return client.post(body).body == body[::-1]

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(post, range(8 * 23)))
    bodies = {peer.take().body for _ in range(8 * 23)}
    assert len(bodies) == 8 * 23
    assert peer.connections <= 8


def test_no_more_connections_are_kept_than_useful(
    peer: HttpPeer, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A burst of posts does not leave all its connections open."""
    monkeypatch.setattr(client_module, "MAX_IDLE_CONNECTIONS", 2)
    everybody = threading.Barrier(5)

    def meet(_request: Request) -> Answer:
        everybody.wait(DEADLINE_S)
        return Answer()

    peer.behave = meet
    with ThreadPoolExecutor(5) as threads:
        list(threads.map(client.post, [b"x"] * 5))
    assert peer.connections == 5
    assert len(client._idle) == 2


def test_chunked_answer_is_put_together(peer: HttpPeer, client: HttpClient) -> None:
    """A server need not say in advance how long its answer is."""
    answer_raw(
        peer, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"3\r\none\r\n", b"4\r\n two\r\n0\r\n\r\n"
    )
    assert client.post(b"x").body == b"one two"


def test_connection_that_ends_with_its_answer_is_not_used_again(peer: HttpPeer, client: HttpClient) -> None:
    """`Connection: close`, and an answer that only the end of the connection ends."""
    for head in (b"Connection: close\r\nContent-Length: 5", b"Server: old"):
        answer_raw(peer, b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\nhello")
        assert client.post(b"x").body == b"hello"
    assert peer.connections == 2


def test_connection_that_the_peer_ended_is_noticed(peer: HttpPeer, client: HttpClient) -> None:
    """Servers end idle connections; the next post opens another instead of failing."""
    client.post(b"first")
    peer.hang_up()
    wait_until(lambda: not client._idle[0].is_alive(), "the end was not noticed", DEADLINE_S)
    assert client.post(b"second").status == 200
    assert peer.connections == 2


def test_old_connection_is_not_trusted(peer: HttpPeer, client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A load balancer forgets silent connections without a word."""
    client.post(b"first")
    monkeypatch.setattr(client_module, "MAX_IDLE_NS", -1)
    client.post(b"second")
    assert peer.connections == 2


def test_header_that_would_begin_another_is_refused(peer: HttpPeer) -> None:
    """Settings that were not read from a file are checked as well; the value is not told."""
    for headers in ({"X": "a\r\nY: secret"}, {"X\r\nY": "secret"}, {"Content-Length": "1"}):
        with pytest.raises(HopspanError, match=r"^headers\.") as caught:
            open_client(peer, headers=headers)
        assert "secret" not in str(caught.value)


def test_redirect_is_not_followed(peer: HttpPeer, client: HttpClient) -> None:
    """The answer is the caller's to judge, and nobody else gets the request."""
    other = HttpPeer()
    peer.behave = lambda _request: Answer(307, headers={"Location": str(other.url("/elsewhere"))})
    assert client.post(b"x").status == 307
    other.close()
    assert other.connections == 0


def test_proxies_of_the_environment_are_not_used(peer: HttpPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans go where the configuration says."""
    proxy = HttpPeer()
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, str(proxy.url()))
    client = open_client(peer)
    client.post(b"x")
    client.close()
    proxy.close()
    assert (peer.connections, proxy.connections) == (1, 0)


def test_peer_that_does_not_read_ends_with_the_deadline(unanswered: int) -> None:
    """What cannot be sent is not waited for; nor is an answer that does not come."""
    client = HttpClient(
        ZipkinExporterSettings(endpoint=HttpUrl("http", Endpoint("localhost", unanswered), "/")), "text/plain"
    )
    for body in (b"x", bytes(64 << 20)):
        with pytest.raises(RetryableExportError, match="DEADLINE_EXCEEDED"):
            client.post(body, timeout_ns=200_000_000)
    client.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_close_ends_what_is_in_flight(unanswered: int, scheme: str) -> None:
    """The end of the program does not wait for a peer, nor for a handshake."""
    url = HttpUrl(scheme, Endpoint("localhost", unanswered), "/")
    client = HttpClient(ZipkinExporterSettings(endpoint=url, timeout=3600 * 10**9), "text/plain")
    with ThreadPoolExecutor(3) as threads:
        posts = [threads.submit(client.post, b"x") for _ in range(3)]
        wait_until(lambda: len(client._busy) == 3, "the posts did not begin", DEADLINE_S)
        wait_until(lambda: all(c._socket is not None for c in client._busy), "none is connected", DEADLINE_S)
        client.close()
        for post in posts:
            with pytest.raises(RetryableExportError, match="CANCELLED"):
                post.result(DEADLINE_S)
    assert not client._busy


@pytest.fixture
def unanswered() -> Iterator[int]:
    """The port of a peer that takes connections, and neither reads nor answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_closed_client_fails_as_retryable(peer: HttpPeer, client: HttpClient) -> None:
    """A call after the end is told like one that was cut off."""
    client.post(b"x")
    client.close()
    with pytest.raises(RetryableExportError, match="CANCELLED"):
        client.post(b"x")
    assert peer.connections == 1


def test_peer_that_comes_back_is_found(peer: HttpPeer, client: HttpClient) -> None:
    """While the peer is away calls fail at once and say why; they succeed as soon as it is back."""
    client.post(b"before")
    peer.close()
    with pytest.raises(RetryableExportError, match="UNAVAILABLE"):
        client.post(b"x")
    with pytest.raises(RetryableExportError, match=f"localhost:{peer.port}: Connection refused"):
        client.post(b"x")
    back = HttpPeer(peer.port)
    assert client.post(b"after").status == 200
    assert back.take().body == b"after"
    back.close()
