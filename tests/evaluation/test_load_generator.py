"""The load of question 1: requests at times set before, or so many at once, against a real server on this machine."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from evaluation.load_generator import Connections, ask_as_planned, ask_without_pause, is_whole_answer
from testbed.errors import TestbedError

TIMEOUT_S = 30.0
MS = 1_000_000
REQUESTS = 23


class Server:
    """Counts the requests that are under way; answers when `count` have come, if faulty odd ones with an error."""

    def __init__(self, count: int, *, is_faulty: bool = False) -> None:
        self.most = 0
        self._under_way = 0
        self._come = 0
        self._count = count
        self._is_faulty = is_faulty
        self._changed = threading.Condition()

    def take(self) -> int:
        """Wait until the request may be answered; return the status."""
        with self._changed:
            self._come += 1
            number = self._come
            self._under_way += 1
            self.most = max(self.most, self._under_way)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._come >= self._count, TIMEOUT_S)
            self._under_way -= 1
        return 500 if self._is_faulty and number % 2 else 200


@contextmanager
def serving(server: Server) -> Iterator[tuple[str, int]]:
    """Hold the server; yield its place."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status = server.take()
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    try:
        yield ("127.0.0.1", listening.server_address[1])
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()


def test_requests_go_out_though_none_is_answered() -> None:
    """Open loop: a server that stalls until the last request has come stalls no sending.

    Each has waited since its time. A loop that waits for answers would never send the second one.
    """
    planned_ns = [number * 5 * MS for number in range(REQUESTS)]
    server = Server(REQUESTS)
    with serving(server) as place:
        asked = ask_as_planned("/", [(time_ns, place) for time_ns in planned_ns])[place]
    assert (len(asked.times_ns), asked.failed, server.most) == (REQUESTS, 0, REQUESTS)
    assert max(asked.times_ns) >= planned_ns[-1]
    waited = sorted(asked.times_ns, reverse=True)
    assert all(time_ns >= planned_ns[-1] - planned for time_ns, planned in zip(waited, planned_ns, strict=True))


def test_closed_loop_has_so_many_under_way_and_no_more() -> None:
    """Each answer lets one more request go; the first ones, which come together, do not count."""
    server = Server(5)
    with serving(server) as place:
        asked = ask_without_pause(place, "/", 5, 0.5)
    assert server.most == 5
    assert len(asked.times_ns) >= 5
    assert asked.rate_per_s == len(asked.times_ns) / 0.5


def test_errors_are_counted_and_have_no_time() -> None:
    """A quick error would make a server look quick."""
    with serving(Server(1, is_faulty=True)) as place:
        asked = ask_as_planned("/", [(0, place)] * 10)[place]
    assert (len(asked.times_ns), asked.failed) == (5, 5)


def test_answers_are_told_apart_by_place() -> None:
    """Two servers, one of which is faulty."""
    with serving(Server(1)) as good, serving(Server(1, is_faulty=True)) as faulty:
        asked = ask_as_planned("/", [(0, good), (MS, faulty), (2 * MS, good)])
    assert {place: (len(each.times_ns), each.failed) for place, each in asked.items()} == {
        good: (2, 0),
        faulty: (0, 1),
    }


def test_nobody_there_is_an_error() -> None:
    """Named by its place."""
    with serving(Server(1)) as place:
        pass
    with pytest.raises(TestbedError, match=str(place[1])):
        ask_as_planned("/", [(0, place)])


@pytest.mark.parametrize(
    ("data", "is_whole"),
    [
        (b"", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", True),
        (b"HTTP/1.1 500 No\r\ncontent-length:0\r\nserver: envoy\r\n\r\n", True),
    ],
)
def test_answer_ends_with_its_content(data: bytes, is_whole: bool) -> None:  # noqa: FBT001
    """However it is cut in pieces."""
    assert is_whole_answer(data) == is_whole


def test_answer_without_length_is_an_error() -> None:
    """It would never end."""
    with pytest.raises(TestbedError, match="content-length"):
        is_whole_answer(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")


def test_kept_connections_serve_the_next_plan() -> None:
    """Of as many as were at once, none is opened anew."""
    with serving(Server(REQUESTS)) as place, Connections() as kept:
        for _ in range(2):
            asked = ask_as_planned("/", [(0, place)] * REQUESTS, kept)[place]
            assert len(asked.times_ns) == REQUESTS
        assert kept.opened == REQUESTS


class StoppingServer(Server):
    """Answers as many requests as it counts, together, and no more until it is told that all is over."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.over = threading.Event()
        self._left = iter(range(count))

    def take(self) -> int:
        """Wait as the others do, or until the end."""
        status = super().take()
        if next(self._left, None) is None:
            self.over.wait(TIMEOUT_S)
        return status


def test_beginning_of_a_closed_loop_is_no_rate() -> None:
    """What is asked for at the start comes all at once: where no more is answered, nothing was counted."""
    server = StoppingServer(REQUESTS)
    with serving(server) as place:
        asked = ask_without_pause(place, "/", REQUESTS, 0.5)
        server.over.set()
    assert (asked.times_ns, asked.failed) == ([], 0)
