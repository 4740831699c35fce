"""Getting documents over one connection: whole, piece by piece, cut off, too large, and from peers that hang."""

import threading
import time
from collections.abc import Iterator

import pytest

from hopspan.http_answer import HttpAnswer
from hopspan.http_answer_reader import AnswerError, AnswerTooLargeError
from hopspan.http_get import GetConnection
from testbed.deadline import wait_until
from tests.hopspan.http_peer import RESET, Answer, HttpPeer

HEAD = b"GET /things HTTP/1.1\r\nHost: peer\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
MAX_BYTES = 100_000
DEADLINE_NS = 20 * 10**9


@pytest.fixture
def connection(peer: HttpPeer) -> Iterator[GetConnection]:
    connection = GetConnection(peer.url().endpoint, None, MAX_BYTES)
    yield connection
    connection.close()


def begin(connection: GetConnection, within_ns: int = DEADLINE_NS) -> None:
    connection.begin(HEAD, time.monotonic_ns() + within_ns)


def get(connection: GetConnection) -> HttpAnswer:
    begin(connection)
    return connection.read_whole()


def test_documents_come_whole_over_one_connection(peer: HttpPeer, connection: GetConnection) -> None:
    """Whatever their status."""
    for status, body in ((200, b"all"), (404, b"none"), (200, b"")):
        peer.behave = lambda _, status=status, body=body: Answer(status, body)  # type: ignore[misc]
        answer = get(connection)
        assert (connection.status, answer.status, answer.body) == (status, status, body)
        assert connection.is_reusable
    assert peer.connections == 1
    assert peer.take().path == "/things"


def test_document_that_grows_comes_piece_by_piece(peer: HttpPeer, connection: GetConnection) -> None:
    """More of it in the end than is ever kept; at its end there is nothing more."""
    go_on = threading.Semaphore(0)
    piece = b"x" * 30_000

    def grow() -> Iterator[bytes]:
        yield CHUNKED
        for _ in range(10):
            yield b"%x\r\n%b\r\n" % (len(piece), piece)
            assert go_on.acquire(timeout=20)
        yield b"0\r\n\r\n"

    peer.behave = lambda _: grow()
    begin(connection)
    for _ in range(10):
        got = b""
        while len(got) < len(piece):
            got += connection.read_piece(time.monotonic_ns() + DEADLINE_NS)
        assert got == piece
        go_on.release()
    assert connection.read_piece(time.monotonic_ns() + DEADLINE_NS) == b""


@pytest.mark.parametrize("excess", [MAX_BYTES + 1, 2 * MAX_BYTES, 20 * MAX_BYTES])
def test_document_that_is_too_large_is_an_error(peer: HttpPeer, connection: GetConnection, excess: int) -> None:
    """It is not given out in part, as if it were whole."""
    peer.behave = lambda _: Answer(200, bytes(excess))
    with pytest.raises(AnswerTooLargeError):
        get(connection)


@pytest.mark.parametrize("end", [b"", RESET], ids=["closed", "reset"])
def test_document_that_is_cut_off_is_an_error(peer: HttpPeer, connection: GetConnection, end: bytes) -> None:
    """What came of it before was given out."""
    peer.behave = lambda _: [CHUNKED + b"3\r\nabc\r\n", end]
    begin(connection)
    with pytest.raises(OSError, match=r"closed|reset"):
        list(iter(lambda: connection.read_piece(time.monotonic_ns() + DEADLINE_NS), b""))


def test_silence_ends_at_the_deadline(peer: HttpPeer, connection: GetConnection) -> None:
    """A piece has a deadline of its own, whatever the document's beginning had."""
    release = threading.Event()

    def hang() -> Iterator[bytes]:
        yield CHUNKED
        release.wait(20)

    peer.behave = lambda _: hang()
    begin(connection)
    with pytest.raises(TimeoutError):
        connection.read_piece(time.monotonic_ns() + 10**7)
    release.set()


def test_another_thread_ends_the_wait(peer: HttpPeer, connection: GetConnection) -> None:
    """At once, and not only at the deadline."""
    release = threading.Event()

    def hang() -> Iterator[bytes]:
        yield CHUNKED
        release.wait(20)

    peer.behave = lambda _: hang()
    begin(connection)
    ended: list[Exception | bytes] = []

    def read() -> None:
        try:
            ended.append(connection.read_piece(time.monotonic_ns() + 3600 * 10**9))
        except OSError as error:
            ended.append(error)

    reading = threading.Thread(target=read)
    reading.start()
    connection.cut()
    reading.join(20)
    release.set()
    assert isinstance(ended[0], OSError)
    assert not connection.is_reusable


def test_answer_that_is_not_http_is_an_error(peer: HttpPeer, connection: GetConnection) -> None:
    """Such as that of another protocol on the port."""
    peer.behave = lambda _: [b"SSH-2.0-OpenSSH_9.2\r\n"]
    with pytest.raises(AnswerError):
        begin(connection)


def test_connection_that_the_peer_closed_is_not_used_again(peer: HttpPeer, connection: GetConnection) -> None:
    """Idle ones are closed by servers after a while."""
    get(connection)
    peer.hang_up()
    wait_until(lambda: not connection.is_reusable, "still reusable", 20)
