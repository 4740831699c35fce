"""One HTTP connection: uvicorn's protocol, with the limits that it lacks.

It has no deadline for reading, no limit for heads, and buffers bodies before anything can refuse them. Here each
request has an Intake from its head on.
"""

import time
from collections import deque
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from collector_plugin.http_answers import HEAD_TOO_LARGE, MALFORMED, Answer, Status
from collector_plugin.http_app import INTAKE
from collector_plugin.http_deadlines import ConnectionGuard, Deadlines, Phase
from collector_plugin.http_intake import Gate, Head, Intake
from collector_plugin.http_listener import ConnectionCount, find_connection_limit
from hopspan.counters import Counters

MAX_HEAD_BYTES = 32 << 10
"""Twice of what common servers take."""

MAX_HEADERS = 100

MAX_PIPELINED = 8
"""Unanswered requests of one connection. Exporters never have more than one; each costs some kilobytes."""

MAX_DROPPED_BYTES = 64 << 20
"""Of the body of a refused request, read so that the client gets to see the answer."""


class Site:
    """What all connections of a receiver share."""

    def __init__(self, gate: Gate, deadlines: Deadlines) -> None:
        """Count nothing yet."""
        self.gate = gate
        self.deadlines = deadlines
        self.answers = Counters(Status)
        self.overdue = Counters(Phase)
        self.connections = ConnectionCount(find_connection_limit())


class Connection(HttpToolsProtocol):
    """uvicorn's protocol with an Intake for each request, deadlines, and limits for what a client may send."""

    def __init__(self, *arguments: Any, site: Site) -> None:
        """Take uvicorn's arguments (configuration, state of the server, state of the application)."""
        super().__init__(*arguments)
        self._site = site
        self._guard = ConnectionGuard(site.deadlines, time.monotonic_ns())
        self._unanswered: deque[RequestResponseCycle] = deque()
        self._head_bytes = 0
        self._silent_bytes = 0
        """Sent since the parser last told of anything: it buffers a header, however long it grows."""
        self._failure = MALFORMED
        self._is_deaf = False
        """Whether the connection ends with the answers that are due."""

    def close_overdue(self, now_ns: int, *, is_short: bool) -> None:
        """End the connection if its client is too slow; `is_short` while others find no room for their bodies."""
        if self.transport.is_closing():
            # It ends with its last answer, once the client has taken it.
            self._guard.stop_writing(now_ns)
        phase = self._guard.find_overdue(now_ns, is_short=is_short)
        if phase is not None:
            self._site.overdue.add(phase)
            # Not close(), which waits for a client that reads nothing.
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        for position, cycle in enumerate(self._unanswered):
            intake = _find_intake(cycle)
            intake.is_abandoned = True
            cycle.disconnected = True
            cycle.message_event.set()
            if position > 0:
                # Never handed to the application, which releases the first one.
                intake.release()
        self.pipeline.clear()
        self._site.connections.close()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        self._silent_bytes += len(data)
        super().data_received(data)
        if self._silent_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._failure = HEAD_TOO_LARGE
            self.send_400_response("")

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's name
        """Tell the client that what it sends cannot be read, unless that would be taken for an earlier answer."""
        if self._is_deaf or self.transport.is_closing():
            return
        unread = self._unanswered[-1] if self._unanswered and self._unanswered[-1].more_body else None
        if len(self._unanswered) > (unread is not None):
            self._end_after_answers()
            return
        content_type = _find_intake(unread).content_type if unread is not None else None
        answer = self._site.gate.service.write_failure(self._failure, content_type)
        if unread is None or not unread.response_started:
            self._site.answers.add(answer.status)
            self.transport.write(_write_answer(answer))
        self._is_deaf = True
        self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = self._silent_bytes = 0
        self._guard.begin_head(time.monotonic_ns())

    def on_url(self, url: bytes) -> None:
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers come this way too.
        self._count_head(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._is_deaf:
            return
        if len(self._unanswered) >= MAX_PIPELINED:
            self._end_after_answers()
            return
        super().on_headers_complete()
        now_ns = time.monotonic_ns()
        head = Head(self.scope["http_version"], self.headers)
        intake = self._site.gate.open_intake(self.scope["method"], self.scope["path"], head, now_ns)
        self.scope["state"][INTAKE] = intake
        self._unanswered.append(self.cycle)
        self._silent_bytes = 0
        self._guard.begin_body(now_ns)
        # uvicorn stops to read behind a second request; here each is bounded, and a client that is gone is noticed.
        self.flow.resume_reading()

    def on_body(self, body: bytes) -> None:
        if self._is_deaf:
            return
        self._silent_bytes = 0
        self._guard.continue_body(time.monotonic_ns())
        intake = _find_intake(self.cycle)
        if not intake.take(body):
            self.cycle.message_event.set()
            if intake.dropped_bytes > MAX_DROPPED_BYTES:
                self.transport.abort()

    def on_message_complete(self) -> None:
        if self._is_deaf:
            return
        self._silent_bytes = 0
        _find_intake(self.cycle).is_complete = True
        self.cycle.more_body = False
        self.cycle.message_event.set()
        self._guard.end_request(time.monotonic_ns(), is_answered=not self._unanswered)

    def on_response_complete(self) -> None:
        self._unanswered.popleft()
        super().on_response_complete()
        if not self._unanswered:
            self._guard.begin_idle(time.monotonic_ns())

    def pause_writing(self) -> None:
        self._guard.stop_writing(time.monotonic_ns())
        super().pause_writing()

    def resume_writing(self) -> None:
        self._guard.resume_writing()
        super().resume_writing()

    def _count_head(self, count_bytes: int) -> None:
        self._head_bytes += count_bytes
        if self._head_bytes > MAX_HEAD_BYTES or len(self.headers) >= MAX_HEADERS:
            self._failure = HEAD_TOO_LARGE
            raise _HeadTooLargeError

    def _end_after_answers(self) -> None:
        """Read no more; the last answer that is due ends the connection."""
        if self._unanswered[-1].more_body and len(self._unanswered) > 1:
            # It will never be complete: not to be answered, and the one before it is the last.
            cycle = self._unanswered.pop()
            self.pipeline.popleft()
            _find_intake(cycle).release()
        self._unanswered[-1].keep_alive = False
        self._is_deaf = True
        self.flow.pause_reading()


class _HeadTooLargeError(Exception):
    """Ends the parser's run from within."""


def _find_intake(cycle: RequestResponseCycle) -> Intake:
    intake: Intake = cycle.scope["state"][INTAKE]
    return intake


def _write_answer(answer: Answer) -> bytes:
    """Return the answer of a connection that ends with it."""
    lines = [
        f"HTTP/1.1 {int(answer.status)} {answer.status.name.replace('_', ' ').title()}".encode(),
        b"content-type: " + answer.content_type.encode(),
        b"content-length: " + str(len(answer.body)).encode(),
        b"connection: close",
    ]
    return b"\r\n".join([*lines, b"", answer.body])
