"""Clients that send what is no request: the specification's error or the end of the connection, no harm to others.

After each of them another client is served, nothing got in, and nothing is held.
"""

import contextlib
import gzip
import random
from collections.abc import Iterator

import pytest
import zstandard

from collector_plugin.http_connection import MAX_DROPPED_BYTES, MAX_HEAD_BYTES, MAX_HEADERS, MAX_PIPELINED
from tests.collector_plugin.http_bench import OTLP_PATH, HttpBench, Reply, read_replies, write_post

HEAD = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"

MALFORMED = {
    "nothing of HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an unknown method": b"SPANS /v1/traces HTTP/1.1\r\n\r\n",
    "an unknown version": b"POST /v1/traces HTTP/7.3\r\n\r\n",
    "a tunnel": b"CONNECT backend:4317 HTTP/1.1\r\nHost: backend\r\n\r\n",
    "a path beyond ASCII": b"POST /v1/tr\xc3\xa4ces HTTP/1.1\r\n\r\n",
    "no path": b"POST http://x HTTP/1.1\r\nHost: x\r\n\r\n",
    "a header without a colon": HEAD + b"nothing\r\n\r\n",
    "a header with a NUL": HEAD + b"X: a\0b\r\nContent-Length: 1\r\n\r\nx",
    "a folded header": HEAD + b"X: a\r\n b\r\nContent-Length: x\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    "a length and chunks": HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    "a negative length": HEAD + b"Content-Length: -1\r\n\r\n",
    "a hexadecimal length": HEAD + b"Content-Length: 0x1\r\n\r\nx",
    "a length beyond 64 bits": HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n",
    "a coding of the transfer": HEAD + b"Transfer-Encoding: gzip\r\n\r\nx",
    "a chunk without a size": HEAD + b"Transfer-Encoding: chunked\r\n\r\n\r\nspans\r\n",
    "a chunk of another size": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nspans\r\n0\r\n\r\n",
    "a chunk beyond 64 bits": HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nx",
    "bare line feeds in chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\nx\n0\n\n",
    "a trailer without a colon": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nnothing\r\n\r\n",
}

ENDLESS = 10 * MAX_HEAD_BYTES
"""More than is read at once."""

TOO_LARGE = {
    "a header": HEAD + b"X: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n",
    "a header without end": HEAD + b"X: " + b"x" * ENDLESS,
    "a name without end": HEAD + b"x" * ENDLESS,
    "a path": b"POST /" + b"x" * MAX_HEAD_BYTES + b" HTTP/1.1\r\n\r\n",
    "many headers": HEAD + b"X: x\r\n" * MAX_HEADERS + b"\r\n",
    "many trailers": HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: x\r\n" * MAX_HEADERS + b"\r\n",
    "a trailer": HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"x" * ENDLESS,
    "empty lines": b"\r\n" * MAX_HEAD_BYTES,
    "a chunk's extension": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * ENDLESS,
}


@pytest.fixture(scope="module")
def shared() -> Iterator[HttpBench]:
    """A receiver for all tests of the module: what one client does to it would show in the next test."""
    bench = HttpBench()
    yield bench
    bench.close()


@pytest.fixture
def bench(shared: HttpBench) -> Iterator[HttpBench]:
    """The receiver; when the test is over it must serve others, and hold nothing."""
    yield shared
    while not shared.requests.empty():
        shared.requests.get_nowait()
    shared.wait_until(lambda: shared.admission.held_bytes == 0)
    assert shared.send(b"another client's").status == 200
    assert shared.requests.get_nowait() == b"another client's"
    shared.wait_until(lambda: shared.receiver.connection_count == 0)


def provoke(bench: HttpBench, data: bytes) -> list[Reply]:
    """Send the bytes in pieces, whatever the receiver does; return the answers that could be read."""
    with bench.connect() as connection:
        replies: list[Reply] = []
        try:
            for start in range(0, len(data), 8_000):
                connection.sendall(data[start : start + 8_000])
            replies.extend(read_replies(connection))
        except ConnectionError:
            # The receiver went away in the middle of the client's sentence.
            return replies
        return replies


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_malformed_request_is_refused(bench: HttpBench, data: bytes) -> None:
    """400 (RFC 9112), the end of the connection, and nothing gets in."""
    before = bench.receiver.count_answers()["400"]
    (reply,) = provoke(bench, data)
    assert (reply.status, reply.headers["connection"]) == (400, "close")
    assert bench.receiver.count_answers()["400"] == before + 1
    assert bench.requests.empty()


@pytest.mark.parametrize("data", TOO_LARGE.values(), ids=TOO_LARGE)
def test_endless_head_has_an_end(bench: HttpBench, data: bytes) -> None:
    """431, if the client still listens; the connection ends in any case."""
    before = bench.receiver.count_answers()["431"]
    assert [reply.status for reply in provoke(bench, data)] in ([431], [])
    assert bench.receiver.count_answers()["431"] == before + 1
    assert bench.requests.empty()


@pytest.mark.parametrize(
    "data", [write_post(b"spans" * 20), write_post(b"64\r\n" + b"spans" * 20 + b"\r\n0\r\n\r\n")]
)
def test_cut_request_never_gets_in(bench: HttpBench, data: bytes) -> None:
    """A client that leaves early leaves nothing behind, wherever it stops."""
    data = data.replace(b"Content-Length: 111", b"Transfer-Encoding: chunked")
    for end in range(0, len(data), 3):
        with bench.connect() as connection:
            connection.sendall(data[:end])
    bench.wait_until(lambda: bench.receiver.connection_count == 0)
    assert bench.requests.empty()


def test_changed_bytes_harm_nobody(bench: HttpBench) -> None:
    """Whatever becomes of a byte or two: each answer is one of HTTP's, and the receiver goes on."""
    chance = random.Random(31)  # noqa: S311 - a request, no secret
    known = {int(status) for status in bench.receiver.count_answers()}
    for body, lines in ((b"spans", ()), (b"5\r\nspans\r\n0\r\n\r\n", ("Transfer-Encoding: chunked",))):
        data = write_post(body, *lines, "Connection: close")
        for _ in range(200):
            changed = bytearray(data)
            for _ in range(chance.randrange(1, 3)):
                changed[chance.randrange(len(data))] = chance.randrange(256)
            with bench.connect() as connection:
                connection.sendall(changed)
                # A length that grew would be waited for.
                connection.shutdown(1)
                assert {reply.status for reply in read_replies(connection)} <= known


def test_pipelined_requests_are_answered_in_order(bench: HttpBench) -> None:
    """RFC 9112, section 9.3.2; each gets in once."""
    last = write_post(b"last", "Connection: close", path="/v1/logs")
    replies = bench.talk(write_post(b"one") + write_post(b"two") + write_post(b"", path="/x") + last)
    assert [reply.status for reply in replies] == [200, 200, 404, 404]
    assert [bench.requests.get_nowait() for _ in range(2)] == [b"one", b"two"]


def test_pipeline_is_bounded(bench: HttpBench) -> None:
    """A burst of requests is answered up to the bound; what lies behind is for the client to send again."""
    replies = bench.talk(write_post(b"spans") * 1_000)
    assert [reply.status for reply in replies] == [200] * MAX_PIPELINED
    assert replies[-1].headers["connection"] == "close"
    assert bench.requests.qsize() == MAX_PIPELINED


@pytest.mark.parametrize("tail", [b"SPANS\r\n\r\n", write_post(b"xyz\r\n", "Transfer-Encoding: chunked")])
def test_malformed_request_does_not_answer_the_one_before(bench: HttpBench, tail: bytes) -> None:
    """A 400 in its place would have the client drop spans that were delivered."""
    replies = bench.talk(write_post(b"spans") + tail)
    assert [reply.status for reply in replies] == [200]
    assert bench.requests.get_nowait() == b"spans"


@pytest.mark.parametrize("lines", [(), ("Connection: keep-alive",)])
def test_http_1_0_is_served(bench: HttpBench, lines: tuple[str, ...]) -> None:
    """With one request a connection; a refusal reaches the client though its body was long."""
    (reply,) = bench.talk(write_post(b"spans", *lines).replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert (reply.status, reply.headers["connection"]) == (200, "close")
    (reply,) = bench.talk(write_post(bytes(4 << 20), *lines, path="/x").replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert reply.status == 404


@pytest.mark.parametrize("protocol", ["h2c", "websocket"])
def test_other_protocols_are_declined(bench: HttpBench, protocol: str) -> None:
    """The request is served as it is, in HTTP/1.1 (RFC 9110, section 7.8)."""
    with bench.connect() as connection:
        connection.sendall(write_post(b"spans", "Connection: Upgrade", f"Upgrade: {protocol}"))
        assert next(read_replies(connection)).status == 200


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_bombs_are_refused(bench: HttpBench, pack: type[bytes]) -> None:
    """100 MB in some kilobytes, several at once: 413, and the connection goes on."""
    bomb = pack(bytes(100 << 20))
    coding = "gzip" if bomb.startswith(b"\x1f\x8b") else "zstd"
    data = write_post(bomb, f"Content-Encoding: {coding}")
    replies = bench.talk(data * 3 + write_post(b"spans", "Connection: close"))
    assert [reply.status for reply in replies] == [413, 413, 413, 200]


def test_body_that_nobody_wants_is_not_read_for_ever(bench: HttpBench) -> None:
    """A refused body is read up to a bound, so that the client sees the answer; then the connection ends."""
    piece = bytes(1 << 20)
    sent = 0
    with bench.connect() as connection:
        connection.sendall(write_post(b"", f"Content-Length: {1 << 40}", path="/x"))
        with contextlib.suppress(ConnectionError):
            while sent < 4 * MAX_DROPPED_BYTES:
                sent += connection.send(piece)
    assert MAX_DROPPED_BYTES / 2 < sent < 4 * MAX_DROPPED_BYTES


def test_single_bytes_are_put_together(bench: HttpBench) -> None:
    """A client whose packets hold one byte each is slow, and not wrong."""
    with bench.connect() as connection:
        for byte in write_post(b"spans", "Connection: close"):
            connection.sendall(bytes((byte,)))
        assert [reply.status for reply in read_replies(connection)] == [200]
    assert bench.requests.get_nowait() == b"spans"


def test_path_is_compared_decoded(bench: HttpBench) -> None:
    """A query is not looked at, an escaped letter is the letter, and nothing else is this path."""
    for path, status in (
        (f"{OTLP_PATH}?x=1", 200),
        ("/v1/%74races", 200),
        (f"{OTLP_PATH}/", 404),
        (f"/{OTLP_PATH}", 404),
        (f"/x/..{OTLP_PATH}", 404),
        ("*", 404),
    ):
        assert bench.send(path=path).status == status, path
