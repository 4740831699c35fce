"""Slow clients: each phase that they can draw out has its end, and until then they cost nobody anything."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from collector_plugin.http_deadlines import Deadlines
from collector_plugin.http_listener import find_connection_limit
from hopspan.export_errors import ExportResult, PermanentExportError
from tests.collector_plugin.http_bench import DEADLINE_S, HttpBench, read_replies, write_post
from tests.requirements import lack

AT_ONCE = 50 * 10**6
LONG = 60 * 10**9
SLOW_CLIENTS = 1_000


@contextlib.contextmanager
def serve(deadlines: Deadlines, budget_bytes: int = 64 << 20) -> Iterator[HttpBench]:
    """Serve with these deadlines."""
    bench = HttpBench(deadlines=deadlines, budget_bytes=budget_bytes)
    try:
        yield bench
    finally:
        bench.close()


@pytest.mark.parametrize(
    "begun", [b"", b"POST", write_post(b"")[:-2]], ids=["nothing", "a method", "all but the end"]
)
def test_thousand_slow_heads_cost_another_client_nothing(begun: bytes) -> None:
    """Slow-loris: they hold connections, and neither threads nor the budget."""
    if find_connection_limit() < 2 * SLOW_CLIENTS:
        lack("a process here may open too few files")
    with serve(Deadlines(head_ns=LONG)) as bench, contextlib.ExitStack() as stack:
        bench.send()
        threads_before = threading.active_count()
        for _ in range(SLOW_CLIENTS):
            connection = stack.enter_context(bench.connect())
            connection.sendall(begun)
        bench.wait_until(lambda: bench.receiver.connection_count == SLOW_CLIENTS)
        assert [bench.send().status for _ in range(10)] == [200] * 10
        assert threading.active_count() <= threads_before + 1
        assert bench.admission.held_bytes == 0


def test_thousand_slow_bodies_cost_another_client_nothing() -> None:
    """Each announces a megabyte, more than the budget together, and holds no more than a step beyond what it sent."""
    if find_connection_limit() < 2 * SLOW_CLIENTS:
        lack("a process here may open too few files")
    with serve(Deadlines(head_ns=LONG), budget_bytes=128 << 20) as bench, contextlib.ExitStack() as stack:
        for _ in range(SLOW_CLIENTS):
            connection = stack.enter_context(bench.connect())
            connection.sendall(write_post(b"", f"Content-Length: {1 << 20}") + b"begun")
        bench.wait_until(lambda: bench.receiver.connection_count == SLOW_CLIENTS)
        assert [bench.send().status for _ in range(10)] == [200] * 10
        assert bench.admission.held_bytes <= SLOW_CLIENTS * (72 << 10)


@pytest.mark.parametrize(
    ("begun", "deadlines", "reason"),
    [
        (b"", Deadlines(head_ns=AT_ONCE), "head_timeout"),
        (b"\r\n", Deadlines(head_ns=AT_ONCE), "head_timeout"),
        (b"POST /v1/traces HTTP/1.1\r\nX:", Deadlines(head_ns=AT_ONCE), "head_timeout"),
        (
            write_post(b"", "Content-Length: 100") + b"begun",
            Deadlines(head_ns=LONG, body_pause_ns=AT_ONCE),
            "body_timeout",
        ),
        (
            write_post(b"5\r\nspans\r\n", "Transfer-Encoding: chunked"),
            Deadlines(head_ns=LONG, body_pause_ns=AT_ONCE),
            "body_timeout",
        ),
    ],
)
def test_connection_ends_where_it_took_too_long(begun: bytes, deadlines: Deadlines, reason: str) -> None:
    """Without an answer, after which OTLP's clients come again; counted, and nothing stays."""
    with serve(deadlines) as bench:
        with bench.connect() as connection:
            connection.sendall(begun)
            assert list(read_replies(connection)) == []
        assert bench.receiver.count_ends()[reason] == 1
        bench.wait_until(lambda: bench.receiver.connection_count == bench.admission.held_bytes == 0)
        assert bench.requests.empty()
        assert sum(bench.receiver.count_answers().values()) == 0


def test_one_client_cannot_keep_all_the_room() -> None:
    """It stops shortly before the end of large bodies; ten others are served once it was cut off for their sake."""
    body = bytes((1 << 20) - 100)
    with serve(Deadlines(head_ns=LONG, body_short_ns=AT_ONCE), budget_bytes=4 << 20) as bench:
        with contextlib.ExitStack() as stack:
            for _ in range(5):
                connection = stack.enter_context(bench.connect())
                with contextlib.suppress(ConnectionError):
                    connection.sendall(write_post(b"", f"Content-Length: {1 << 20}") + body)
            bench.wait_until(lambda: bench.admission.held_bytes > 3 << 20)
            for _ in range(10):
                bench.wait_until(lambda: bench.send(bytes(1 << 20)).status == 200)
        assert bench.receiver.count_ends()["no_room_timeout"] > 0
        assert bench.receiver.count_ends()["body_timeout"] == 0


def test_body_that_trickles_has_an_end() -> None:
    """However steadily it goes on."""
    pause = threading.Event()
    with serve(Deadlines(head_ns=LONG, body_total_ns=4 * AT_ONCE)) as bench, bench.connect() as connection:
        connection.sendall(write_post(b"", f"Content-Length: {1 << 20}"))
        with contextlib.suppress(ConnectionError):
            for _ in range(int(DEADLINE_S / 0.01)):
                connection.sendall(b"x")
                pause.wait(0.01)
        assert bench.receiver.count_ends()["body_timeout"] == 1


@pytest.mark.parametrize("begun", [b"", b"\r\n"], ids=["nothing", "an empty line"])
def test_idle_connection_ends(begun: bytes) -> None:
    """After its answer, when no other request begins; an empty line is none."""
    with serve(Deadlines(head_ns=LONG, idle_ns=AT_ONCE)) as bench, bench.connect() as connection:
        connection.sendall(write_post(b"spans"))
        replies = read_replies(connection)
        assert next(replies).status == 200
        with contextlib.suppress(ConnectionError):
            connection.sendall(begun)
        with contextlib.suppress(ConnectionError):
            assert list(replies) == []
        assert bench.receiver.count_ends()["idle_timeout"] == 1


def test_client_that_reads_no_answers_is_given_up() -> None:
    """Its answers would pile up; its connection ends instead, and what it held is free."""

    def fail_at_length(_is_wanted: object) -> ExportResult:
        raise PermanentExportError("INTERNAL", "x" * 4_000)

    with serve(Deadlines(head_ns=LONG, write_ns=AT_ONCE)) as bench, socket.socket() as connection:
        bench.outcome = fail_at_length
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(DEADLINE_S)
        connection.connect(("127.0.0.1", bench.port))
        bench.wait_until(lambda: bench.receiver.connection_count == 1)
        # Few at a time, so that the bound of a pipeline is not met first.
        burst = write_post(b"spans") * 3
        pause = threading.Event()
        with contextlib.suppress(ConnectionError):
            for sent in range(3, 1_000_000, 3):
                connection.sendall(burst)
                while bench.receiver.count_answers()["500"] < sent - 3 and bench.receiver.connection_count:
                    pause.wait(0.001)
        assert bench.receiver.count_ends()["answer_timeout"] == 1
        bench.wait_until(lambda: bench.receiver.connection_count == bench.admission.held_bytes == 0)


def test_slow_deliveries_cost_slow_clients_nothing() -> None:
    """While a request waits for its delivery, others come, are handled, and go."""
    first, go_on = threading.Event(), threading.Event()
    with serve(Deadlines(head_ns=LONG, body_pause_ns=LONG)) as bench, bench.connect() as waiting:

        def wait_once(_is_wanted: object) -> ExportResult:
            if not first.is_set():
                first.set()
                go_on.wait(DEADLINE_S)
            return ExportResult()

        bench.outcome = wait_once
        waiting.sendall(write_post(b"spans", "Connection: close"))
        assert first.wait(DEADLINE_S)
        assert [bench.send().status for _ in range(10)] == [200] * 10
        go_on.set()
        assert [reply.status for reply in read_replies(waiting)] == [200]


def test_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more than the limit is closed at once; when one has ended there is room again."""
    monkeypatch.setattr("collector_plugin.http_listener.MAX_CONNECTIONS", 3)
    with serve(Deadlines(head_ns=LONG)) as bench:
        held = [bench.connect() for _ in range(3)]
        bench.wait_until(lambda: bench.receiver.connection_count == 3)
        with bench.connect() as one_more:
            assert one_more.recv(1) == b""
        assert bench.receiver.count_ends()["connection_limit"] == 1
        held.pop().close()
        bench.wait_until(lambda: bench.receiver.connection_count == 2)
        assert bench.send().status == 200
        for connection in held:
            connection.close()
