"""Decides by a request's head whether its body is wanted, and takes the body in: all bytes of it are reserved first.

No sockets: the connection tells what came, the application what became of it.
"""

import contextlib
import io
from collections.abc import Iterator, Sequence

from collector_plugin.admission import Admission, Reservation
from collector_plugin.bearer_auth import BearerTokens
from collector_plugin.content_encoding import ContentEncoding, NoRoomError, read_encoding, unpack
from collector_plugin.http_answers import (
    METHOD_NOT_ALLOWED,
    NO_ROOM,
    NOT_FOUND,
    UNKNOWN_ENCODING,
    Failure,
    Status,
    refuse_credentials,
    refuse_size,
)
from collector_plugin.http_services import SpanService

REQUEST_BYTES = 4 << 10
"""Reserved for a request besides its body: its head and the objects around it."""

STEP_BYTES = 64 << 10
"""Reserved ahead of what has come. Not all that Content-Length promises: four clients that announce 16 MiB and send
nothing would have the whole budget."""

Headers = Sequence[tuple[bytes, bytes]]
"""Names in lower case."""


class Intake:
    """One request on its way in. Used by the connection's thread, then by the one that handles the request."""

    def __init__(self, admission: Admission, limit_bytes: int, head: "Head") -> None:
        """Expect the body that `head` announces."""
        self.content_type: str | None = None
        self.failure: Failure | None = None
        """Why the request is refused, once it is."""
        self.is_complete = False
        self.is_abandoned = False
        """Whether the client is gone."""
        self.dropped_bytes = 0
        """Of the body, after the request was refused."""
        self.head = head
        self._encoding = ContentEncoding.IDENTITY
        self._reservation = Reservation(admission)
        self.limit_bytes = limit_bytes
        self._missing_bytes = STEP_BYTES
        self._received_bytes = 0
        self._first = b""
        self._rest: io.BytesIO | None = None

    def open(self, content_type: str, encoding: ContentEncoding) -> None:
        """Take the body, if there is room for it."""
        self.content_type, self._encoding = content_type, encoding
        admission, length = self._reservation.admission, self.head.content_length or 0
        if length > self.limit_bytes or not admission.can_ever_fit(length + REQUEST_BYTES):
            self.refuse(refuse_size(self.limit_bytes))
        elif not admission.has_room(length + REQUEST_BYTES) or not self._reservation.grow(
            REQUEST_BYTES + min(length, STEP_BYTES)
        ):
            self.refuse(NO_ROOM)

    def refuse(self, failure: Failure) -> None:
        """Take no more of the body, and forget what came."""
        if self.failure is None:
            self.failure = failure
        self.release()

    def take(self, part: bytes) -> bool:
        """Take the next part of the body; False where it is refused, now or before."""
        if self.failure is None:
            self._received_bytes += len(part)
            if self._received_bytes > self.limit_bytes:
                self.refuse(refuse_size(self.limit_bytes))
            elif not self._reserve_received():
                self.refuse(NO_ROOM)
        if self.failure is not None:
            self.dropped_bytes += len(part)
            return False
        if not self._first:
            self._first = part
        else:
            if self._rest is None:
                self._rest = io.BytesIO()
                self._rest.write(self._first)
            self._rest.write(part)
        return True

    @property
    def is_plain(self) -> bool:
        """Return whether the body is not packed."""
        return self._encoding is ContentEncoding.IDENTITY

    @property
    def received_bytes(self) -> int:
        """Return how much of the body has come."""
        return self._received_bytes

    def read_content(self) -> bytes:
        """Return the complete body, unpacked. Raises ContentError, ContentTooLargeError, NoRoomError."""
        # getvalue hands over its own buffer, so that a large body does not exist twice.
        body = self._first if self._rest is None else self._rest.getvalue()
        self._first, self._rest = b"", None
        return unpack(body, self._encoding, self.limit_bytes, self._reservation.grow)

    @contextlib.contextmanager
    def lend(self, count_bytes: int) -> Iterator[None]:
        """Hold so many bytes more for a while. Raises NoRoomError."""
        self.keep(count_bytes)
        try:
            yield
        finally:
            self._reservation.shrink(count_bytes)

    def keep(self, count_bytes: int) -> None:
        """Hold so many bytes more until the end. Raises NoRoomError."""
        if not self._reservation.grow(count_bytes):
            self._missing_bytes = count_bytes
            raise NoRoomError

    def can_ever_fit(self) -> bool:
        """Return whether the body may have found no room for others' sake, and not for its own size."""
        reservation = self._reservation
        return reservation.admission.can_ever_fit(reservation.held_bytes + self._missing_bytes)

    def is_wanted(self) -> bool:
        """Return whether the client still waits for its answer."""
        return not self.is_abandoned

    def release(self) -> None:
        """Give back what is reserved. May be called on every way out."""
        self._first, self._rest = b"", None
        self._reservation.release()

    def _reserve_received(self) -> bool:
        missing = self._received_bytes + REQUEST_BYTES - self._reservation.held_bytes
        if missing <= 0:
            return True
        # The announced end is the end; chunked bodies announce none.
        ahead = STEP_BYTES
        if self.head.content_length is not None:
            ahead = min(ahead, max(0, self.head.content_length - self._received_bytes))
        return self._reservation.grow(missing + ahead)


class Head:
    """What a request's head says, as far as it matters here."""

    def __init__(self, http_version: str, headers: Headers) -> None:
        """Read the headers. Of those that come twice the last one counts; httptools refuses two Content-Lengths."""
        values = dict(headers)
        self.content_type = values.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")
        # Several codings in one header or in several are one list (RFC 9110, section 5.3), which is not served.
        codings = [value for name, value in headers if name == b"content-encoding"]
        self.encoding = read_encoding(b",".join(codings).decode("latin-1"))
        self.authorization = values.get(b"authorization")
        self.expects_continue = values.get(b"expect", b"").lower() == b"100-continue"
        length = values.get(b"content-length", b"")
        self.content_length = int(length) if length.isdigit() else None
        tokens = values.get(b"connection", b"").lower().split(b",")
        self.closes = http_version == "1.0" or b"close" in [token.strip() for token in tokens]


class Gate:
    """Opens an intake for each head that comes."""

    def __init__(
        self, service: SpanService, admission: Admission, limit_bytes: int, tokens: BearerTokens | None
    ) -> None:
        """Let in what `service` takes; with `tokens`, only who has one."""
        self.service = service
        self.admission = admission
        self._limit_bytes = limit_bytes
        self._tokens = tokens

    def open_intake(self, method: str, path: str, head: Head, now_ns: int) -> Intake:
        """Return the intake for the request; it is refused already where its head says so."""
        intake = Intake(self.admission, self._limit_bytes, head)
        content_type = head.content_type or self.service.default_type
        if content_type in self.service.readers:
            intake.content_type = content_type
        if self._tokens is not None and not self._tokens.is_allowed(head.authorization, now_ns):
            intake.refuse(refuse_credentials(were_given=head.authorization is not None))
        elif path != self.service.path:
            intake.refuse(NOT_FOUND)
        elif method != "POST":
            intake.refuse(METHOD_NOT_ALLOWED)
        elif intake.content_type is None:
            known = ", ".join(self.service.readers)
            intake.refuse(Failure(Status.UNSUPPORTED_MEDIA_TYPE, f"Content-Type is not one of {known}"))
        elif head.encoding is None:
            intake.refuse(UNKNOWN_ENCODING)
        else:
            intake.open(intake.content_type, head.encoding)
        return intake
