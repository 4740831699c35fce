"""Reads HTTP/1.1 answers from bytes, however they are cut into pieces. The door to httptools on the client's side.

Pure. Memory is bounded: a header has at most MAX_HEADER_BYTES, all that belongs to an answer MAX_RESPONSE_BYTES more
unless its reader is told another bound, or takes the body piece by piece.
"""

import httptools

from hopspan.http_answer import HttpAnswer

MAX_HEADER_BYTES = 64 * 1024
"""Of an answer's status line and headers, interim answers included: eight times what servers send."""

MAX_RESPONSE_BYTES = 4 << 20
"""OTLP asks servers to stay below 4 MiB; without a cap a hostile peer could fill our memory (CVE-2026-39882)."""

_SWITCHING_PROTOCOLS = 101
_MIN_FINAL_STATUS = 200
_KEPT_HEADERS = frozenset({b"content-type", b"content-encoding", b"retry-after", b"date"})


class AnswerError(Exception):
    """The bytes are not an HTTP/1.1 answer, or are too many; the text repeats none of them."""


class AnswerTooLargeError(AnswerError):
    """There are more bytes than may be kept."""


class AnswerReader:
    """The answers of one connection, one after the other."""

    def __init__(self, max_bytes: int = MAX_RESPONSE_BYTES) -> None:
        """Begin before the first answer; one has at most `max_bytes`."""
        self._max_bytes = max_bytes
        self._parser = httptools.HttpResponseParser(self)
        self.begin()

    def begin(self) -> None:
        """Forget the last answer; what is fed next is another."""
        self._size = 0
        self._status = 0
        self._headers: dict[bytes, bytes] = {}
        self._body = bytearray()
        self._is_kept_alive = False
        self._has_more = False
        self.is_whole = False
        self.is_cut_short = False
        """Whether a part of the body had no room: it may still be whole as HTTP goes."""

    @property
    def is_known(self) -> bool:
        """Tell whether the header was read, so that there is an answer, whatever becomes of its body."""
        return self._status > 0

    @property
    def is_reusable(self) -> bool:
        """Tell whether the connection can be used for another request: nothing is left, and the peer keeps it."""
        return self.is_whole and self._is_kept_alive and not self._has_more

    @property
    def status(self) -> int:
        """Return the answer's status, 0 where it is not known yet."""
        return self._status

    def feed(self, data: bytes) -> None:
        """Take the next bytes. Raises AnswerError, after which `is_known` tells whether there is an answer."""
        self._size += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._has_more = True
            if not self.is_whole:
                raise AnswerError("its answer is not HTTP/1.1") from error
        if not self.is_known and self._size >= MAX_HEADER_BYTES:
            raise AnswerError(f"its answer has a header of more than {MAX_HEADER_BYTES} bytes")
        if not self.is_whole and self._size > MAX_HEADER_BYTES + self._max_bytes:
            raise AnswerTooLargeError(f"its answer has more than {self._max_bytes} bytes")

    def read_answer(self) -> HttpAnswer:
        """Return the answer, as far as it came."""
        packed = self._headers.get(b"content-encoding", b"identity").lower() != b"identity"
        return HttpAnswer(
            self._status,
            (self._read_header(b"content-type") or "").partition(";")[0].strip().lower(),
            # An encoding was not asked for, and unpacking it would need a bound of its own.
            b"" if packed else bytes(self._body),
            self._read_header(b"retry-after"),
            self._read_header(b"date"),
        )

    def take_body(self) -> bytes:
        """Return what came of the body since this was asked last; the bound is one of what comes in between."""
        piece = bytes(self._body)
        self._body.clear()
        self._size = 0
        return piece

    def on_message_begin(self) -> None:
        """Notice, for httptools, that a message begins: behind the answer there should be none."""
        self._has_more = self.is_whole

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep, for httptools, a header; of those that come twice the last one counts."""
        if not self.is_whole and name.lower() in _KEPT_HEADERS:
            self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Notice, for httptools, the end of a header; that of an interim answer (100, 103) is not the one awaited."""
        status = self._parser.get_status_code()
        if self.is_whole:
            return
        if status >= _MIN_FINAL_STATUS or status == _SWITCHING_PROTOCOLS:
            self._status = status
        else:
            self._headers.clear()

    def on_body(self, data: bytes) -> None:
        """Keep, for httptools, a piece of the body, up to the bound."""
        if not self.is_whole:
            room = self._max_bytes - len(self._body)
            self._body += data[:room]
            self.is_cut_short |= len(data) > room

    def on_message_complete(self) -> None:
        """Notice, for httptools, the end of a message."""
        if self.is_known and not self.is_whole:
            self.is_whole = True
            self._is_kept_alive = self._parser.should_keep_alive()

    def _read_header(self, name: bytes) -> str | None:
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")
