"""More requests than there is room for: refused by their heads so that clients come again, and room comes back."""

import gzip
import http.client
import threading
from collections.abc import Callable, Iterator

import pytest

from hopspan.export_errors import ExportResult
from tests.collector_plugin.http_bench import (
    DEADLINE_S,
    OTLP_PATH,
    PROTOBUF,
    HttpBench,
    exchange,
    read_code,
    read_replies,
    write_post,
)

BUDGET = 300 << 10
HEADERS = {"Content-Type": PROTOBUF}


class Slow(HttpBench):
    """A receiver whose deliveries wait until they may go on."""

    def __init__(self) -> None:
        """Serve with a small budget."""
        super().__init__(budget_bytes=BUDGET)
        self.go_on = threading.Event()
        self.outcome = self._wait

    def _wait(self, _is_wanted: Callable[[], bool]) -> ExportResult:
        self.go_on.wait(DEADLINE_S)
        return ExportResult()


@pytest.fixture
def slow() -> Iterator[Slow]:
    """A receiver."""
    bench = Slow()
    yield bench
    bench.go_on.set()
    bench.close()


def test_request_without_room_comes_again(slow: Slow) -> None:
    """503 and Retry-After by the head alone, over a connection that goes on; once there is room it gets in."""
    client = http.client.HTTPConnection("127.0.0.1", slow.port, timeout=DEADLINE_S)
    with slow.connect() as first:
        first.sendall(write_post(bytes(200 << 10), "Connection: close"))
        slow.requests.get(timeout=DEADLINE_S)
        reply = exchange(client, bytes(200 << 10), OTLP_PATH, "POST", HEADERS)
        assert (reply.status, reply.headers["retry-after"], read_code(reply.body)) == (503, "1", 14)
        assert slow.admission.refused == 1
        slow.go_on.set()
        assert [reply.status for reply in read_replies(first)] == [200]
    assert exchange(client, bytes(200 << 10), OTLP_PATH, "POST", HEADERS).status == 200
    client.close()
    assert slow.admission.held_bytes == 0


def test_chunked_request_is_refused_where_room_ends(slow: Slow) -> None:
    """Its size is not announced, so it is let in and reserved step by step; what it held is free at once."""
    with slow.connect() as first, slow.connect() as chunked:
        first.sendall(write_post(bytes(200 << 10)))
        slow.requests.get(timeout=DEADLINE_S)
        held_before = slow.admission.held_bytes
        chunked.sendall(write_post(b"", "Transfer-Encoding: chunked"))
        slow.wait_until(lambda: slow.admission.held_bytes > held_before)
        chunked.sendall(b"%x\r\n" % (200 << 10) + bytes(200 << 10))
        assert next(read_replies(chunked)).status == 503
        assert slow.admission.held_bytes == held_before


def test_unpacked_bytes_need_room_too(slow: Slow) -> None:
    """A small archive whose content has no room now is to come again."""
    packed = gzip.compress(bytes(200 << 10))
    with slow.connect() as first:
        first.sendall(write_post(bytes(200 << 10)))
        slow.requests.get(timeout=DEADLINE_S)
        held_before = slow.admission.held_bytes
        reply = slow.send(packed, headers={"Content-Encoding": "gzip"})
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        assert slow.admission.held_bytes == held_before


@pytest.mark.parametrize("is_packed", [False, True])
def test_request_that_never_fits_need_not_come_again(slow: Slow, is_packed: bool) -> None:  # noqa: FBT001 - a column
    """Larger than the whole budget, as it comes or unpacked: 413, which no client repeats."""
    data = bytes(BUDGET + 1)
    headers = {"Content-Encoding": "gzip"} if is_packed else {}
    assert slow.send(gzip.compress(data) if is_packed else data, headers=headers).status == 413
    assert slow.requests.empty()


def test_many_at_once_stay_within_the_budget(slow: Slow) -> None:
    """Whatever the order: each is delivered or told to come again, and never is more held than there is."""
    clients = [slow.connect() for _ in range(40)]
    for client in clients:
        client.sendall(write_post(bytes(20 << 10), "Connection: close"))
    slow.wait_until(lambda: slow.requests.qsize() + slow.receiver.count_answers()["503"] == len(clients))
    assert slow.admission.held_bytes <= BUDGET
    slow.go_on.set()
    statuses = [next(read_replies(client)).status for client in clients]
    for client in clients:
        client.close()
    assert set(statuses) == {200, 503}
    assert statuses.count(200) == slow.requests.qsize() >= 10
    slow.wait_until(lambda: slow.admission.held_bytes == 0)


def test_request_whose_client_left_is_not_handled(slow: Slow) -> None:
    """All threads are busy; who leaves while waiting for one is not delivered for nobody, and holds nothing."""
    clients = [slow.connect() for _ in range(70)]
    for client in clients:
        client.sendall(write_post(b"spans"))
    slow.wait_until(lambda: slow.requests.qsize() == 64)
    for client in clients:
        client.close()
    slow.wait_until(lambda: slow.receiver.connection_count == 0)
    slow.go_on.set()
    slow.wait_until(lambda: slow.admission.held_bytes == 0)
    assert slow.requests.qsize() == 64
