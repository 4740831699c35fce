"""Answers in bytes: whole, in pieces, cut, one behind the other, and nonsense."""

import http.client
import io
import itertools
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopspan.http_answer import HttpAnswer
from hopspan.http_answer_reader import MAX_HEADER_BYTES, MAX_RESPONSE_BYTES, AnswerError, AnswerReader

OK = b"HTTP/1.1 200 OK\r\n"
ANSWER = OK + b"Content-Type: Text/Plain; a=b\r\nRetry-After: 3\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n4\r\n you\r\n0\r\nTrailer: 1\r\n\r\n"


def read(*pieces: bytes) -> AnswerReader:
    """Return a reader that was fed the pieces."""
    reader = AnswerReader()
    for piece in pieces:
        reader.feed(piece)
    return reader


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Return the data in pieces."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@pytest.mark.parametrize(
    ("data", "expected", "is_reusable"),
    [
        (ANSWER, HttpAnswer(200, "text/plain", b"hello", "3"), True),
        (CHUNKED, HttpAnswer(200, "", b"hello you"), True),
        (b"HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n", HttpAnswer(204, date="x"), True),
        (b"HTTP/1.1 503\r\nContent-Length: 0\r\n\r\n", HttpAnswer(503), True),
        (OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi", HttpAnswer(200, body=b"hi"), False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", HttpAnswer(200, body=b"hi"), False),
        (OK + b"Content-Encoding: GZIP\r\nContent-Length: 2\r\n\r\n\x1f\x8b", HttpAnswer(200), True),
        (OK + b"Content-Encoding: identity\r\nContent-Length: 2\r\n\r\nhi", HttpAnswer(200, body=b"hi"), True),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + ANSWER, HttpAnswer(200, "text/plain", b"hello", "3"), True),
        (b"HTTP/1.1 103 Hints\r\nRetry-After: 9\r\n\r\n" * 2 + CHUNKED, HttpAnswer(200, "", b"hello you"), True),
        (ANSWER + ANSWER[:1], HttpAnswer(200, "text/plain", b"hello", "3"), False),
        (ANSWER + b"\x00", HttpAnswer(200, "text/plain", b"hello", "3"), False),
        (CHUNKED + b"HTTP/1.1 500 No\r\nRetry-After: 1\r\n\r\nno", HttpAnswer(200, "", b"hello you"), False),
    ],
)
def test_answer_is_read_however_it_is_cut(data: bytes, expected: HttpAnswer, *, is_reusable: bool) -> None:
    """Whole, byte for byte, and in two pieces at every place: the same answer."""
    for pieces in ([data], [bytes([byte]) for byte in data], *(cut(data, [place]) for place in range(len(data)))):
        reader = read(*pieces)
        assert reader.is_whole
        assert (reader.read_answer(), reader.is_reusable) == (expected, is_reusable)


@pytest.mark.parametrize("data", [ANSWER, CHUNKED, OK + b"\r\nhello"])
def test_cut_answer_is_known_once_its_header_is_there(data: bytes) -> None:
    """Not before, and whole only with its last byte."""
    header_bytes = data.index(b"\r\n\r\n") + 4
    for length in range(len(data)):
        reader = read(data[:length])
        assert reader.is_known == (length >= header_bytes)
        assert not reader.is_whole
        assert not reader.is_reusable


def test_one_reader_reads_one_answer_after_the_other() -> None:
    """Nothing of an answer is left for the next."""
    reader = read(ANSWER)
    reader.begin()
    assert not reader.is_known
    reader.feed(CHUNKED)
    assert reader.read_answer() == HttpAnswer(200, "", b"hello you")
    assert reader.is_reusable


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        OK + b"a header without a colon\r\n\r\n",
        OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        OK + b"Content-Length: -1\r\n\r\n",
        OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"Content-Length: 99999999999999999999999\r\n\r\n",
    ],
)
def test_nonsense_is_no_answer(data: bytes) -> None:
    """The error repeats nothing of it."""
    with pytest.raises(AnswerError, match=r"^its answer is not HTTP/1\.1$"):
        read(data)


def test_switched_protocol_is_an_answer_that_nobody_wanted() -> None:
    """After a 101 there is no HTTP to wait for."""
    reader = read(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", b"PRI *")
    assert reader.read_answer().status == 101
    assert not reader.is_reusable


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (OK, b"X: again\r\n"),
        (OK + b"X: ", b"a"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (OK + b"\r\n", b"body"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x=y;"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nT: ", b"trailer"),
    ],
)
def test_endless_answer_is_given_up(head: bytes, piece: bytes) -> None:
    """In every place where there is no end, memory is bounded all the same."""
    reader = AnswerReader()
    pieces = piece * (MAX_HEADER_BYTES // len(piece))
    tracemalloc.start()
    reader.feed(head)
    with pytest.raises(AnswerError, match=r"more than \d+ bytes"):
        feed_all(reader, [pieces] * 130)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 4 * MAX_RESPONSE_BYTES
    assert len(reader.read_answer().body) <= MAX_RESPONSE_BYTES


def feed_all(reader: AnswerReader, pieces: list[bytes]) -> None:
    for piece in pieces:
        reader.feed(piece)


@given(st.lists(st.binary(max_size=40), max_size=8), st.lists(st.integers(0, 500), max_size=4))
def test_any_bytes_have_an_answer_or_none(parts: list[bytes], places: list[int]) -> None:
    """Garbage, and garbage between pieces of an answer."""
    data = b"".join([*parts[:4], OK, *parts[4:]])
    reader = AnswerReader()
    try:
        for piece in cut(data, places):
            reader.feed(piece)
    except AnswerError:
        assert not reader.is_reusable
    assert reader.read_answer().status >= 0


class FakeSocket:
    """What http.client reads from."""

    def __init__(self, data: bytes) -> None:
        """Hold the bytes."""
        self._data = data

    def makefile(self, *_arguments: Any, **_options: Any) -> io.BytesIO:
        """Return a file of the bytes."""
        return io.BytesIO(self._data)


@given(
    status=st.integers(200, 599).filter(lambda status: status not in (204, 304)),
    parts=st.lists(st.binary(min_size=1, max_size=30), max_size=4),
    chunked=st.booleans(),
    places=st.lists(st.integers(0, 500), max_size=5),
)
def test_another_parser_reads_the_same(status: int, parts: list[bytes], places: list[int], *, chunked: bool) -> None:
    """Against http.client, which shares nothing with httptools."""
    head = f"HTTP/1.1 {status} Because\r\nContent-Type: text/plain\r\nRetry-After: 7\r\n"
    if chunked:
        framed = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        data = head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + framed
    else:
        data = head.encode() + b"Content-Length: %d\r\n\r\n" % len(b"".join(parts)) + b"".join(parts)
    oracle = http.client.HTTPResponse(FakeSocket(data))  # type: ignore[arg-type]  # all that it uses
    oracle.begin()
    reader = read(*cut(data, places))
    assert reader.is_reusable
    assert reader.read_answer() == HttpAnswer(
        oracle.status, oracle.headers["content-type"], oracle.read(), oracle.headers["retry-after"]
    )
