"""The door to gRPC's calls: a server whose one thread reads the messages of all calls, and hands them on.

It is built on gRPC's completion queue, as gRPC's own Python server is, which has a thread wait for each message: four
switches of threads a request, and twice the time. That queue is no public interface, so nothing else imports it.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # the stubs leave it out

Metadata = Sequence[tuple[str, str | bytes]]

TURN_S = 0.01
"""Between two calls of `turn`, while something is put off."""

IDLE_TURN_S = 1.0

_NO_FLAGS = 0


class Service(Protocol):
    """Who serves the calls. All methods are called by the server's thread, and must not wait."""

    def begin(self, call: "ServerCall") -> None:
        """Take a call whose headers have come: refuse it, or have its message read, now or in a later `turn`."""

    def take(self, call: "ServerCall", message: bytes | None) -> None:
        """Take the message that was read; None where none came, or where the call has ended."""

    def turn(self) -> bool:
        """Do what was put off; return whether anything still is, so that it is asked again soon."""


class ServerCall:
    """One request of a client. Its methods may be called by any thread, but for `read`, `watch` and `open_stream`."""

    __slots__ = ("_call", "_is_stream", "_server", "is_active", "is_watched", "metadata", "method", "number")

    def __init__(self, server: "CallServer", event: Any) -> None:
        """Begin where `event` tells of its headers."""
        self._server = server
        self._call = event.call
        self._is_stream = False
        self.is_watched = False
        """Whether `is_active` follows the client."""
        self.method: str = event.call_details.method.decode("latin-1")
        self.metadata: Metadata = event.invocation_metadata or ()
        self.is_active = True
        """Whether an answer may be waited for."""
        self.number = 0
        """Left to whoever serves the call."""

    def read(self) -> None:
        """Have the message read, once. The server's thread's."""
        self._server.start_batch(self._call, (cygrpc.ReceiveMessageOperation(_NO_FLAGS),), self._end_read)

    def watch(self) -> None:
        """Let `is_active` follow the client, since the answer takes time. The server's thread's."""
        self.is_watched = True
        self._server.start_batch(self._call, (cygrpc.ReceiveCloseOnServerOperation(_NO_FLAGS),), self._end)

    def open_stream(self, end: Callable[[], None]) -> None:
        """Answer with many messages from now on; `end` is called when the client has gone. The server's thread's."""
        self._is_stream = self.is_watched = True
        self._server.start_batch(self._call, (cygrpc.SendInitialMetadataOperation(None, _NO_FLAGS),), lambda _: None)

        def close(event: Any) -> None:
            self._end(event)
            end()

        self._server.start_batch(self._call, (cygrpc.ReceiveCloseOnServerOperation(_NO_FLAGS),), close)

    def send(self, message: bytes, done: Callable[[bool], None]) -> None:
        """Send a message of a stream, one at a time; `done` is told whether it left, by the server's thread.

        It leaves when the client has room for it.
        """
        operation = cygrpc.SendMessageOperation(message, _NO_FLAGS)
        self._server.start_batch(self._call, (operation,), lambda event: done(event.success))

    def answer(self, response: bytes) -> None:
        """End the call with success; nothing happens where it has ended."""
        self._finish(grpc.StatusCode.OK, "", None, cygrpc.SendMessageOperation(response, _NO_FLAGS))

    def refuse(self, code: grpc.StatusCode, details: str, metadata: Metadata | None = None) -> None:
        """End the call with an error, and `metadata` behind it; nothing happens where it has ended."""
        self._finish(code, details, metadata)

    def cancel(self) -> None:
        """Break the call off."""
        self._call.cancel()

    def peer(self) -> str:
        """Return the client's address and port."""
        peer: bytes = self._call.peer()
        return peer.decode("latin-1")

    def _finish(self, code: grpc.StatusCode, details: str, metadata: Metadata | None, *message: Any) -> None:
        if not self.is_active:
            return
        self.is_active = False
        operations = [
            *([] if self._is_stream else [cygrpc.SendInitialMetadataOperation(None, _NO_FLAGS)]),
            *message,
            cygrpc.SendStatusFromServerOperation(metadata, code.value[0], details.encode(), _NO_FLAGS),
        ]
        if not self.is_watched:
            # gRPC wants to tell of each call's end; so it does without an event more.
            operations.append(cygrpc.ReceiveCloseOnServerOperation(_NO_FLAGS))
        self._server.start_batch(self._call, operations, self._end)

    def _end_read(self, event: Any) -> None:
        self._server.service.take(self, event.batch_operations[0].message())

    def _end(self, _event: Any) -> None:
        self.is_active = False


class CallServer:
    """A gRPC server with one service."""

    def __init__(self, service: Service, options: Sequence[tuple[str, Any]]) -> None:
        """Make the server, which listens nowhere yet."""
        self.service = service
        self._lock = threading.Lock()
        self._due = 0
        self._is_stopping = self._is_over = False
        self._queue = cygrpc.CompletionQueue()
        self._server = cygrpc.Server(options, False)  # noqa: FBT003 - gRPC's own signature: not part of an xDS mesh
        self._server.register_completion_queue(self._queue)
        self._thread = threading.Thread(target=self._run, name="otlp", daemon=True)

    def listen(self, address: str, credentials: grpc.ServerCredentials | None) -> int:
        """Listen at `address`; return the port. Raises RuntimeError."""
        # As gRPC's own server does.
        secret = () if credentials is None else (credentials._credentials,)  # type: ignore[attr-defined]  # noqa: SLF001
        port: int = self._server.add_http2_port(address.encode(), *secret)
        if not port:
            raise RuntimeError(address)
        return port

    def start(self) -> None:
        """Begin to serve."""
        self._server.start()
        self._request_call()
        self._thread.start()

    def stop(self, grace_s: float) -> None:
        """Take no more calls, and wait up to `grace_s` for those under way; what is left is broken off."""
        if not self._thread.is_alive():
            return
        with self._lock:
            if not self._is_stopping:
                self._is_stopping = True
                self._due += 1
                self._server.shutdown(self._queue, self._ignore)
        self._thread.join(grace_s)
        with self._lock:
            if not self._is_over:
                self._server.cancel_all_calls()
        self._thread.join()

    def start_batch(self, call: Any, operations: Sequence[Any], done: Callable[[Any], None]) -> None:
        """Have gRPC do operations of a call; the server's thread calls `done` with what came of them."""
        with self._lock:
            if not self._is_over:
                self._due += 1
                call.start_server_batch(operations, done)

    def _request_call(self) -> None:
        with self._lock:
            if not self._is_stopping:
                self._due += 1
                self._server.request_call(self._queue, self._queue, self._begin)

    def _begin(self, event: Any) -> None:
        if event.success:
            self._request_call()
            self.service.begin(ServerCall(self, event))

    def _ignore(self, _event: Any) -> None:
        pass

    def _run(self) -> None:
        is_waiting = False
        while self._is_needed():
            self._handle_next(time.time() + (TURN_S if is_waiting else IDLE_TURN_S))
            is_waiting = self.service.turn()
        self._server.destroy()

    def _is_needed(self) -> bool:
        with self._lock:
            self._is_over = self._is_stopping and not self._due
            return not self._is_over

    def _handle_next(self, deadline_s: float) -> None:
        # In a function of its own: an event that is still held, with a call that is over, would have polls spin.
        event = self._queue.poll(deadline_s)
        if event.completion_type == cygrpc.CompletionType.queue_timeout:
            return
        with self._lock:
            self._due -= 1
        try:
            event.tag(event)
        except Exception:
            # A fault of ours must not end all calls. By this way it reaches the log.
            logging.getLogger(__name__).exception("a call could not be served")
