"""The HTTP client and peers that break off, do not end, crawl or talk nonsense: bounded, and told as what it was."""

import threading
from collections.abc import Iterable, Iterator

import pytest

from hopspan.export_errors import RetryableExportError
from hopspan.http_answer import HttpAnswer
from hopspan.http_answer_reader import MAX_HEADER_BYTES, MAX_RESPONSE_BYTES
from hopspan.http_client import HttpClient
from hopspan.http_export_settings import ZipkinExporterSettings
from tests.hopspan.http_peer import RESET, Answer, HttpPeer, trickle

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
HEADER_BYTES = len(ANSWER) - len(b"hello")


@pytest.fixture
def client(peer: HttpPeer) -> Iterator[HttpClient]:
    """A client of `peer`."""
    client = HttpClient(ZipkinExporterSettings(endpoint=peer.url("/")), "text/plain")
    yield client
    client.close()


def answer_raw(peer: HttpPeer, *parts: bytes) -> None:
    """Let the peer send these bytes, and then end the connection."""
    peer.behave = lambda _request: parts


def test_failed_post_is_not_repeated(peer: HttpPeer, client: HttpClient) -> None:
    """One call is one attempt; and the other connections are not trusted any more."""
    peer.behave = lambda _request: [RESET]
    for number in range(1, 4):
        with pytest.raises(RetryableExportError, match="UNAVAILABLE"):
            client.post(b"x")
        assert peer.take().connection == number
    assert peer.received.empty()


@pytest.mark.parametrize("end", [b"", RESET], ids=["closed", "reset"])
def test_answer_may_break_off_anywhere(peer: HttpPeer, client: HttpClient, end: bytes) -> None:
    """Without a header the request may not have arrived; with it the status counts, whatever is missing behind it."""
    outcomes: list[bool] = []
    for length in range(len(ANSWER)):
        answer_raw(peer, *filter(None, (ANSWER[:length], end)))
        try:
            answer = client.post(b"x")
        except RetryableExportError as error:
            assert error.code == "UNAVAILABLE"  # noqa: PT017 - both outcomes are lawful
            outcomes.append(False)
        else:
            assert answer.status == 200
            assert b"hello".startswith(answer.body)
            outcomes.append(True)
    assert not any(outcomes[:HEADER_BYTES])
    if not end:
        assert all(outcomes[HEADER_BYTES:])


def test_early_answer_counts(peer: HttpPeer, client: HttpClient) -> None:
    """A peer that refuses by the header alone hangs up while we still send: its answer is not lost to a reset."""
    peer.early_answer = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
    assert client.post(bytes(64 << 20)).status == 413
    assert client.post(b"x").status == 413
    assert peer.connections == 2


@pytest.mark.parametrize("nonsense", [b"SSH-2.0-OpenSSH\r\n", b"\x00\xff" * 500, b"HTTP/1.1 2x0 OK\r\n\r\n", b"{}"])
def test_what_is_not_http_is_no_answer(peer: HttpPeer, client: HttpClient, nonsense: bytes) -> None:
    """The wrong port may be corrected at the peer's side, so it is worth another attempt."""
    answer_raw(peer, nonsense)
    with pytest.raises(RetryableExportError, match="not HTTP"):
        client.post(b"x")


def test_giant_answer_is_not_read(peer: HttpPeer, client: HttpClient) -> None:
    """Memory is bounded, and the status counts; the connection has the rest in it and is not used again."""
    peer.behave = lambda _request: Answer(200, bytes(2 * MAX_RESPONSE_BYTES))
    assert client.post(b"x") == HttpAnswer(200, body=bytes(MAX_RESPONSE_BYTES), date=client.post(b"x").date)
    assert peer.connections == 2


def test_largest_answer_is_read(peer: HttpPeer, client: HttpClient) -> None:
    """Up to the bound nothing is lost, the connection neither."""
    peer.behave = lambda _request: Answer(200, bytes(MAX_RESPONSE_BYTES))
    assert [len(client.post(b"x").body) for _ in range(2)] == [MAX_RESPONSE_BYTES] * 2
    assert peer.connections == 1


def test_packed_answer_is_not_unpacked(peer: HttpPeer, client: HttpClient) -> None:
    """It was not asked for, and may be a bomb; the status counts."""
    peer.behave = lambda _request: Answer(503, b"\x1f\x8b...", {"Content-Encoding": "gzip"})
    answer = client.post(b"x")
    assert (answer.status, answer.body) == (503, b"")


def endless(head: bytes, line: bytes) -> Iterable[bytes]:
    """Return the head and so many times the line that any bound is exceeded."""
    return [head, *[line * 64] * (MAX_HEADER_BYTES // 64)]


@pytest.mark.parametrize(
    "parts",
    [
        endless(b"HTTP/1.1 200 OK\r\n", b"X-Same: again\r\n"),
        endless(b"HTTP/1.1 200 OK\r\n", b"a"),
        endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        endless(b"HTTP/1.1 200 ", b"k"),
    ],
    ids=["many headers", "a long header", "interim answers", "a long status"],
)
def test_endless_header_is_not_read(peer: HttpPeer, client: HttpClient, parts: Iterable[bytes]) -> None:
    """A header is bounded as the body is."""
    peer.behave = lambda _request: parts
    with pytest.raises(RetryableExportError, match="UNAVAILABLE"):
        client.post(b"x")


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 ", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 103 Wait\r\n\r\nHTTP/1.1 200 "]
)
def test_slow_header_ends_with_the_deadline(peer: HttpPeer, client: HttpClient, head: bytes) -> None:
    """Each byte comes in time, and yet the call ends."""
    done = threading.Event()
    peer.behave = lambda _request: trickle(head, b"1", done)
    with pytest.raises(RetryableExportError, match="DEADLINE_EXCEEDED"):
        client.post(b"x", timeout_ns=200_000_000)
    done.set()


def test_slow_body_ends_with_the_deadline(peer: HttpPeer, client: HttpClient) -> None:
    """The status was there in time, and counts."""
    done = threading.Event()
    peer.behave = lambda _request: trickle(b"HTTP/1.1 200 OK\r\n\r\n", b"1", done)
    answer = client.post(b"x", timeout_ns=2_000_000_000)
    done.set()
    assert answer.status == 200
    assert not answer.body.strip(b"1")
