"""A server of grpcio (gRPC C-core), and a caller instrumented by OpenTelemetry's own means; messages are bytes.

Arguments: grpc-serve ADDRESS
           grpc-call TARGET     prints, in one line of JSON a step of its standard input, the calls that it made
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc.aio
from opentelemetry import context, propagate, trace
from opentelemetry.context import Context
from opentelemetry.instrumentation.grpc import aio_client_interceptors
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags

SERVICE = "peers.Calls"
DEADLINE_S = 0.2
PAUSE_S = 0.001
"""Between calls that are to be written one by one."""

MESSAGES = 3

Call = dict[str, str]


class Answers:
    """What the server does with a call."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    async def echo(self, request: bytes, _: object) -> bytes:
        return request

    async def gather(self, request: bytes, _: object) -> bytes:
        """Hold calls back until as many as each of them names are there, and let them go one by one."""
        return await self._answer_with_all(request, PAUSE_S)

    async def burst(self, request: bytes, _: object) -> bytes:
        """Hold calls back so, and let all go at once."""
        return await self._answer_with_all(request)

    async def wait(self, _request: bytes, _context: object) -> bytes:
        never: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        return await never

    async def chat(self, messages: AsyncIterator[bytes], _: object) -> AsyncIterator[bytes]:
        async for message in messages:
            yield message

    async def _answer_with_all(self, request: bytes, pause_s: float = 0) -> bytes:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        if len(self._waiting) == int(request):
            waiting, self._waiting = self._waiting, []
            for one in waiting:
                one.set_result(None)
                if pause_s:
                    await asyncio.sleep(pause_s)
        await mine
        return request


async def serve(address: str) -> None:
    """Answer until the process is told to stop."""
    answers = Answers()
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        "Echo": grpc.unary_unary_rpc_method_handler(answers.echo),
        "Gather": grpc.unary_unary_rpc_method_handler(answers.gather),
        "Burst": grpc.unary_unary_rpc_method_handler(answers.burst),
        "Wait": grpc.unary_unary_rpc_method_handler(answers.wait),
        "Chat": grpc.stream_stream_rpc_method_handler(answers.chat),
    }
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_insecure_port(address)
    await server.start()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    sys.stdout.write("serving\n")
    sys.stdout.flush()
    await stopped.wait()
    await server.stop(None)


class BegunSpans(SpanProcessor):
    """Keeps what spans are known by that have begun."""

    def __init__(self) -> None:
        self._calls: asyncio.Queue[Call] = asyncio.Queue()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        del parent_context
        known = span.get_span_context()
        assert known
        self._calls.put_nowait({"trace_id": f"{known.trace_id:032x}", "span_id": f"{known.span_id:016x}"})

    async def take(self, number: int) -> list[Call]:
        """Return so many."""
        return [await self._calls.get() for _ in range(number)]


class Caller:
    """Makes calls over one connection; each step returns its calls."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._hanging: list[Any] = []
        self._begun = BegunSpans()
        self._provider = TracerProvider()
        self._provider.add_span_processor(self._begun)
        self._channel = self._connect()

    async def unary(self, number: int) -> list[Call]:
        for _ in range(number):
            await self._ask("Echo", b"hello")
        return await self._begun.take(number)

    async def stream(self, number: int) -> list[Call]:
        """Send messages, each when the one before was answered."""
        for _ in range(number):
            chat: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = self._channel.stream_stream(f"/{SERVICE}/Chat")
            call = chat()
            for _ in range(MESSAGES):
                await call.write(b"hello")
                assert await call.read() == b"hello"
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF
            assert await call.code() is grpc.StatusCode.OK
        return await self._begun.take(number)

    async def concurrent(self, number: int) -> list[Call]:
        calls = []
        for _ in range(number):
            calls.append(asyncio.create_task(self._ask("Gather", b"%d" % number)))
            await asyncio.sleep(PAUSE_S)
        await asyncio.gather(*calls)
        return await self._begun.take(number)

    async def burst(self, number: int) -> list[Call]:
        await asyncio.gather(*(self._ask("Burst", b"%d" % number) for _ in range(number)))
        return await self._begun.take(number)

    async def unsampled(self, number: int) -> list[Call]:
        calls = []
        for _ in range(number):
            trace_id, span_id = os.urandom(16), os.urandom(8)
            parent = SpanContext(
                int.from_bytes(trace_id), int.from_bytes(span_id), is_remote=True, trace_flags=TraceFlags(0)
            )
            token = context.attach(trace.set_span_in_context(NonRecordingSpan(parent)))
            await self._ask("Echo", b"hello")
            context.detach(token)
            calls.append({"trace_id": trace_id.hex(), "span_id": ""})
        return calls

    async def deadline(self, number: int) -> list[Call]:
        for _ in range(number):
            call = self._method("Wait")(b"", timeout=DEADLINE_S)
            assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        return await self._begun.take(number)

    async def hang(self, number: int) -> list[Call]:
        """Begin calls by the propagator alone: what the interceptor has begun goes on when it is cancelled."""
        tracer = self._provider.get_tracer("peers")
        for _ in range(number):
            with tracer.start_as_current_span("Wait", kind=SpanKind.CLIENT), suppress_instrumentation():
                headers: dict[str, str] = {}
                propagate.inject(headers)
                self._hanging.append(self._method("Wait")(b"", metadata=tuple(headers.items())))
        return []

    async def cancel(self, _: int) -> list[Call]:
        for call in self._hanging:
            call.cancel()
        for call in self._hanging:
            assert await call.code() is grpc.StatusCode.CANCELLED
        hung, self._hanging = len(self._hanging), []
        return await self._begun.take(hung)

    async def reconnect(self, _: int) -> list[Call]:
        await self._channel.close()
        self._channel = self._connect()
        return []

    async def close(self) -> None:
        await self._channel.close()

    def _connect(self) -> grpc.aio.Channel:
        # Or clients of one process would share a connection, and keep it.
        options = [("grpc.use_local_subchannel_pool", 1)]
        interceptors = aio_client_interceptors(tracer_provider=self._provider)  # type: ignore[no-untyped-call]
        return grpc.aio.insecure_channel(self._target, options, interceptors=interceptors)

    async def _ask(self, method: str, message: bytes) -> None:
        answer = await self._method(method)(message)
        assert answer == message, answer

    def _method(self, name: str) -> "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]":
        return self._channel.unary_unary(f"/{SERVICE}/{name}")


async def call(target: str) -> None:
    """Make the calls that the standard input tells, a step each line."""
    caller = Caller(target)
    while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
        name, _, number = line.partition(" ")
        take: Callable[[int], Awaitable[list[Call]]] = getattr(caller, name)
        sys.stdout.write(json.dumps({"step": line, "calls": await take(int(number or 0))}) + "\n")
        sys.stdout.flush()
    await caller.close()


if __name__ == "__main__":
    asyncio.run({"grpc-serve": serve, "grpc-call": call}[sys.argv[1]](sys.argv[2]))
