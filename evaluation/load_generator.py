"""Asks over HTTP/1.1 at times that were set before (open loop), or as fast as answers come (closed loop).

Open loop: a request's time counts from when it was to be sent, not from when a connection or this program was free
for it, so that a server that stalls cannot keep requests from being counted as slow (coordinated omission). Edge:
sockets.
"""

import itertools
import selectors
import socket
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from testbed.errors import TestbedError

ANSWER_TIMEOUT_S = 15.0
"""How long answers are waited for when nothing more is to be sent: Envoy itself gives up after 15 s."""

_MOST_UNDER_WAY = 400
"""Their connections fit what select(2) can watch, which unlike epoll of Python waits for less than a millisecond."""

_MOST_KEPT = 100
"""Of a place, between two plans: those of some places and the ones under way fit it, too."""

_OK = b"200"
_RECEIVE_BYTES = 1 << 16

Place = tuple[str, int]
"""Host and port."""


@dataclass(frozen=True)
class Asked:
    """What came of some requests."""

    times_ns: list[int]
    """Of those that were answered well."""
    failed: int
    """Those that were answered with an error, or not at all."""
    seconds: float
    """From the first sending until the last answer, or as long as the closed loop counted."""

    @property
    def rate_per_s(self) -> float:
        """Return the good answers of a second."""
        return len(self.times_ns) / self.seconds


def ask_as_planned(
    path: str, sendings: Sequence[tuple[int, Place]], kept: "Connections | None" = None
) -> dict[Place, Asked]:
    """Send each request at its time in ns to its place, whatever became of the others; return what came, by place.

    The sendings are sorted. Returns when all are answered or given up. Connections that are kept for the next call
    spare it the beginning, when each request would open one. Raises TestbedError where nobody listens.
    """
    places = {place for _, place in sendings}
    with ExitStack() as stack:
        connections = kept or stack.enter_context(Connections())
        start_ns = time.monotonic_ns()
        due = deque((start_ns + planned_ns, place) for planned_ns, place in sendings)
        give_up_ns = (due[-1][0] if due else start_ns) + round(ANSWER_TIMEOUT_S * 1e9)
        late: deque[tuple[int, Place]] = deque()
        answers: list[_Answer] = []
        while len(answers) < len(sendings) and time.monotonic_ns() < give_up_ns:
            while due and due[0][0] <= time.monotonic_ns():
                late.append(due.popleft())
            while late and connections.send(path, *late[0]):
                late.popleft()
            answers += connections.receive(due[0][0] if due else give_up_ns)
        seconds = (time.monotonic_ns() - start_ns) / 1e9
        connections.close_spare()
    sent = Counter(place for _, place in sendings)
    return {
        place: _sum_up([answer for answer in answers if answer.place == place], sent[place], seconds)
        for place in places
    }


def ask_without_pause(place: Place, path: str, at_once: int, seconds: float) -> Asked:
    """Keep so many requests under way, and count what is answered in so many seconds behind the beginning.

    The beginning ends when as many answers have come as are asked for at once: nothing comes first, and then all of
    them together, which is no rate. Raises TestbedError where nobody listens.
    """
    with Connections() as connections:
        start_ns = time.monotonic_ns()
        end_ns = give_up_ns = start_ns + round(ANSWER_TIMEOUT_S * 1e9)
        for _ in range(at_once):
            connections.send(path, start_ns, place)
        answers: list[_Answer] = []
        left = at_once
        while (now_ns := time.monotonic_ns()) < end_ns:
            come = list(connections.receive(min(end_ns, now_ns + 10**9)))
            for _ in come:
                connections.send(path, time.monotonic_ns(), place)
            if left > 0:
                left -= len(come)
                end_ns = time.monotonic_ns() + round(seconds * 1e9) if left <= 0 else give_up_ns
            else:
                answers += come
        return _sum_up(answers, len(answers), seconds)


@dataclass(frozen=True)
class _Answer:
    place: Place
    time_ns: int
    """Since the request was to be sent."""
    is_good: bool


def _sum_up(answers: Sequence[_Answer], sent: int, seconds: float) -> Asked:
    times_ns = [answer.time_ns for answer in answers if answer.is_good]
    return Asked(times_ns, sent - len(times_ns), seconds)


@dataclass
class _UnderWay:
    place: Place
    since_ns: int
    come: bytes = b""


class Connections:
    """Kept connections; a request under way has one of its own."""

    def __init__(self) -> None:
        self.opened = 0
        self._selector = selectors.SelectSelector()
        self._idle: defaultdict[Place, list[socket.socket]] = defaultdict(list)
        self._busy: dict[socket.socket, _UnderWay] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in itertools.chain(self._busy, *self._idle.values()):
            connection.close()
        self._selector.close()

    def close_spare(self) -> None:
        """Close the connections whose answer was given up, and all but some of the others."""
        for connection in self._busy:
            self._selector.unregister(connection)
            connection.close()
        self._busy.clear()
        for idle in self._idle.values():
            for connection in idle[_MOST_KEPT:]:
                connection.close()
            del idle[_MOST_KEPT:]

    def send(self, path: str, since_ns: int, place: Place) -> bool:
        """Send a request that counts from then on; return whether there was room for one more."""
        if len(self._busy) == _MOST_UNDER_WAY:
            return False
        request = f"GET {path} HTTP/1.1\r\nHost: {place[0]}\r\n\r\n".encode()
        idle = self._idle[place]
        connection = idle.pop() if idle else self._open(place)
        try:
            connection.sendall(request)
        except OSError:  # closed by the server since the last answer
            connection.close()
            connection = self._open(place)
            connection.sendall(request)
        self._selector.register(connection, selectors.EVENT_READ)
        self._busy[connection] = _UnderWay(place, since_ns)
        return True

    def _open(self, place: Place) -> socket.socket:
        self.opened += 1
        return _open(place)

    def receive(self, until_ns: int) -> Iterator[_Answer]:
        """Wait for answers until then at the latest; yield those that came."""
        timeout_s = max(0, until_ns - time.monotonic_ns()) / 1e9
        for key, _ in self._selector.select(timeout_s):
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            under_way = self._busy[connection]
            try:
                data = connection.recv(_RECEIVE_BYTES)
            except OSError:
                data = b""
            under_way.come += data
            if data and not is_whole_answer(under_way.come):
                continue
            del self._busy[connection]
            self._selector.unregister(connection)
            if data:
                self._idle[under_way.place].append(connection)
            else:
                connection.close()
            time_ns = time.monotonic_ns() - under_way.since_ns
            yield _Answer(under_way.place, time_ns, under_way.come[9:12] == _OK)


def _open(place: Place) -> socket.socket:
    try:
        connection = socket.create_connection(place, ANSWER_TIMEOUT_S)
    except OSError as error:
        raise TestbedError(f"{place[0]}:{place[1]}: {error}") from error
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def is_whole_answer(data: bytes) -> bool:
    """Tell whether an answer with a content-length has come to its end. Raises TestbedError for one without."""
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return False
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return len(body) >= int(value)
    raise TestbedError(f"an answer without content-length: {head.decode(errors='replace')}")
