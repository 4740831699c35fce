"""The life of connections and of the HTTP receiver: kept, asked to go on, given up; started, stopped, in the way."""

import http.client
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from collector_plugin.bearer_auth import BearerAuth
from hopspan.errors import HopspanError
from hopspan.export_errors import ExportResult
from hopspan.values import Endpoint
from tests.collector_plugin.http_bench import (
    DEADLINE_S,
    JSON,
    OTLP,
    OTLP_PATH,
    PROTOBUF,
    HttpBench,
    exchange,
    read_replies,
    write_post,
)


@pytest.fixture
def bench() -> Iterator[HttpBench]:
    """An OTLP receiver and a client."""
    bench = HttpBench()
    yield bench
    bench.close()


def test_connection_is_kept(bench: HttpBench) -> None:
    """Also behind refusals: what is left of their bodies is read and dropped."""
    client = http.client.HTTPConnection("127.0.0.1", bench.port, timeout=DEADLINE_S)
    client.connect()
    socket_before = client.sock
    statuses = [
        exchange(client, body, path, "POST", {"Content-Type": content_type}).status
        for body, path, content_type in (
            (b"x", OTLP_PATH, PROTOBUF),
            (bytes(3 << 20), OTLP_PATH, PROTOBUF),
            (bytes(1 << 20), "/v1/logs", PROTOBUF),
            (bytes(1 << 20), OTLP_PATH, "text/plain"),
            (b"x", OTLP_PATH, JSON),
        )
    ]
    assert statuses == [200, 413, 404, 415, 200]
    assert client.sock is socket_before
    client.close()


def test_expectation_is_met(bench: HttpBench) -> None:
    """`Expect: 100-continue`: the body is asked for once its head is let in, and not at all where it is not."""
    with bench.connect() as connection:
        connection.sendall(write_post(b"", "Expect: 100-continue", "Content-Length: 5"))
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"spans")
        assert b"200 OK" in connection.recv(1000)
    with bench.connect() as connection:
        connection.sendall(write_post(b"", "Expect: 100-continue", f"Content-Length: {5 << 20}"))
        (reply,) = read_replies(connection)
    assert (reply.status, reply.headers["connection"]) == (413, "close")
    assert bench.requests.get_nowait() == b"spans"


def test_client_that_is_gone_is_known(bench: HttpBench) -> None:
    """While a request waits for its delivery it can be seen whether its client still does."""
    seen: queue.Queue[Callable[[], bool]] = queue.Queue()
    go_on = threading.Event()

    def wait(is_wanted: Callable[[], bool]) -> ExportResult:
        seen.put(is_wanted)
        go_on.wait(DEADLINE_S)
        return ExportResult()

    bench.outcome = wait
    with bench.connect() as connection:
        connection.sendall(write_post(b"spans"))
        is_wanted = seen.get(timeout=DEADLINE_S)
        assert is_wanted()
    bench.wait_until(lambda: not is_wanted())
    assert bench.admission.held_bytes > 0
    go_on.set()
    bench.wait_until(lambda: bench.admission.held_bytes == 0)


def test_stop_waits_for_what_is_under_way(bench: HttpBench) -> None:
    """A request that came before is answered; a new one finds nobody."""
    started, go_on = threading.Event(), threading.Event()

    def wait(_is_wanted: Callable[[], bool]) -> ExportResult:
        started.set()
        go_on.wait(DEADLINE_S)
        return ExportResult()

    bench.outcome = wait
    with bench.connect() as connection, bench.connect() as idle:
        connection.sendall(write_post(b"spans"))
        started.wait(DEADLINE_S)
        stopping = threading.Thread(target=bench.receiver.stop, args=(DEADLINE_S,))
        stopping.start()
        assert idle.recv(1) == b""
        go_on.set()
        (reply,) = read_replies(connection)
    stopping.join(DEADLINE_S)
    assert (reply.status, reply.headers["connection"]) == (200, "close")
    with pytest.raises(ConnectionRefusedError):
        bench.connect()


def test_stop_does_not_wait_for_ever(bench: HttpBench) -> None:
    """What is not done in time is answered so that the client comes again."""
    started, go_on = threading.Event(), threading.Event()

    def wait(_is_wanted: Callable[[], bool]) -> ExportResult:
        started.set()
        go_on.wait(DEADLINE_S)
        return ExportResult()

    bench.outcome = wait
    with bench.connect() as connection:
        connection.sendall(write_post(b"spans"))
        started.wait(DEADLINE_S)
        bench.receiver.stop(0.1)
        (reply,) = read_replies(connection)
    go_on.set()
    assert (reply.status, reply.headers["retry-after"]) == (503, "1")


def test_receiver_that_never_served_can_be_stopped() -> None:
    """Its port is free again."""
    bench = HttpBench()
    bench.close()
    bench.receiver.stop(0)
    again = HttpBench(msgspec.structs.replace(OTLP, endpoint=bench.receiver.endpoint))
    again.close()


def test_port_in_use_is_named(bench: HttpBench) -> None:
    """A start on a taken port names the key and the endpoint, and takes no connection from who has it."""
    with pytest.raises(
        HopspanError, match=r"^receivers.otlp.protocols.http.endpoint: cannot listen on localhost:\d+"
    ):
        HttpBench(msgspec.structs.replace(OTLP, endpoint=bench.receiver.endpoint))
    assert bench.send().status == 200


def test_host_without_address_is_named() -> None:
    """A name that nobody knows is told, not thrown."""
    with pytest.raises(HopspanError, match=r"http.endpoint: cannot listen on no-such-host.invalid:0"):
        HttpBench(msgspec.structs.replace(OTLP, endpoint=Endpoint("no-such-host.invalid", 0)))


def test_unreadable_token_file_is_named() -> None:
    """With its whole key."""
    settings = msgspec.structs.replace(OTLP, auth=BearerAuth(bearer_token_file=str(Path("/no/such/file"))))
    with pytest.raises(HopspanError, match=r"^receivers.otlp.protocols.http.auth.bearer_token_file: /no/such/file "):
        HttpBench(settings)
