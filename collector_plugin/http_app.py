"""The ASGI application of a receiver: waits for the body, has it handled by a thread, and sends the answer.

It waits without a thread until a request is complete, so that slow clients cost none. What is small and waits for
nobody is handled at once.
"""

import asyncio
import functools
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from collector_plugin.content_encoding import ContentError, ContentTooLargeError, NoRoomError
from collector_plugin.handler_threads import HandlerThreads
from collector_plugin.http_answers import (
    BROKEN,
    NO_ROOM,
    STOPPING,
    TOO_COSTLY,
    Answer,
    Failure,
    Status,
    describe_error,
    refuse_size,
)
from collector_plugin.http_intake import Intake
from collector_plugin.http_services import SpanService
from hopspan.counters import Counters
from hopspan.export_errors import PermanentExportError, RetryableExportError
from hopspan.protowire import WireError

Handlers = HandlerThreads[Answer | None]

QUICK_BYTES = 128 << 10
"""Of a body that is handled without a thread: at most a millisecond's work, twice of what handing over costs."""

INTAKE = "hopspan.intake"
"""Key of the scope's state: the request's Intake."""

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class SpanApplication:
    """Answers the requests of one service."""

    def __init__(self, service: SpanService, threads: Handlers, answers: Counters[Status]) -> None:
        """Handle requests by `threads`, and count the answers."""
        self._service = service
        self._threads = threads
        self._answers = answers
        self._reading = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; send nothing where its client is gone."""
        intake: Intake = scope["state"][INTAKE]
        try:
            answer = await self._find_answer(intake, receive)
        except asyncio.CancelledError:
            # The receiver stops and waits no longer. What is under way may still be delivered, and then comes twice.
            answer = self._write_failure(STOPPING, intake)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not end a connection without a word
            # By this way it reaches the log, with the type of the error and nothing of the request.
            context = {"message": "a request could not be handled", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
            answer = self._write_failure(BROKEN, intake)
        finally:
            intake.release()
        if answer is not None:
            await self._send(answer, intake, send)

    async def _find_answer(self, intake: Intake, receive: Receive) -> Answer | None:
        # A connection that ends with the answer is not closed before the body was sent: with bytes unread the kernel
        # would reset it, and the client never see the answer. Who waits for `100 Continue` sends nothing.
        must_drain = intake.head.closes and not intake.head.expects_continue
        while not intake.is_complete and (intake.failure is None or must_drain):
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
        if intake.failure is not None:
            return self._write_failure(intake.failure, intake)
        if self._is_quick(intake):
            return self._handle(intake)
        return await self._threads.run(functools.partial(self._handle, intake))

    def _is_quick(self, intake: Intake) -> bool:
        quick_type = self._service.quick_type
        return quick_type is not None and (
            intake.content_type == quick_type and intake.is_plain and intake.received_bytes <= QUICK_BYTES
        )

    def _handle(self, intake: Intake) -> Answer | None:
        """Return the answer of a complete request; None where nobody waits for one any more."""
        content_type = intake.content_type
        if intake.is_abandoned or content_type is None:
            return None
        try:
            request = self._read(intake, content_type)
            result = self._service.accept(request, intake.is_wanted, time.monotonic_ns())
        except ContentTooLargeError:
            return self._write_failure(refuse_size(intake.limit_bytes), intake)
        except ContentError as error:
            return self._write_failure(Failure(Status.BAD_REQUEST, f"body: {error}"), intake)
        except NoRoomError:
            failure = NO_ROOM if intake.can_ever_fit() else TOO_COSTLY
            return self._write_failure(failure, intake)
        except (WireError, RetryableExportError, PermanentExportError) as error:
            return self._write_failure(describe_error(error, self._service.subject), intake)
        return self._service.write_success(result, content_type)

    def _read(self, intake: Intake, content_type: str) -> bytes:
        content = intake.read_content()
        reader = self._service.readers[content_type]
        if reader is not None:
            cost = self._service.reading_costs.get(content_type)
            # One at a time: the interpreter runs one anyway, and what a reader builds is many times its input.
            with self._reading, intake.lend(cost(content) if cost is not None else 0):
                content = reader(content)
        cost = self._service.handling_costs.get(content_type)
        if cost is not None:
            intake.keep(cost(content))
        return content

    def _write_failure(self, failure: Failure, intake: Intake) -> Answer:
        return self._service.write_failure(failure, intake.content_type)

    async def _send(self, answer: Answer, intake: Intake, send: Send) -> None:
        if intake.is_abandoned:
            return
        self._answers.add(answer.status)
        headers = [
            (b"content-type", answer.content_type.encode()),
            (b"content-length", str(len(answer.body)).encode()),
            *answer.headers,
        ]
        if intake.failure is not None and intake.head.expects_continue and not intake.is_complete:
            # The client may send the body or leave it: what comes next could be either (RFC 9110, section 10.1.1).
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": int(answer.status), "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})
