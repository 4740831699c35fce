"""Asks over HTTP/1.1 at times that were set before (open loop), or as fast as answers come (closed loop).

Open loop: a request's time counts from when it was to be sent, not from when a connection or this program was free
for it, so that a server that stalls cannot keep requests from being counted as slow (coordinated omission). Edge:
sockets.
"""

import selectors
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Self

from testbed.errors import TestbedError

ANSWER_TIMEOUT_S = 15.0
"""How long answers are waited for when nothing more is to be sent: Envoy itself gives up after 15 s."""

_MOST_CONNECTIONS = 400
"""All of them fit what select(2) can watch, which unlike epoll of Python waits for less than a millisecond."""

_OK = b"200"
_RECEIVE_BYTES = 1 << 16


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


def plan_sendings(rate_per_s: float, seconds: float, chance: Random) -> list[int]:
    """Return the times in ns at which independent users would ask: a Poisson process of that rate, sorted."""
    times_ns, time_s = [], chance.expovariate(rate_per_s)
    while time_s < seconds:
        times_ns.append(round(time_s * 1e9))
        time_s += chance.expovariate(rate_per_s)
    return times_ns


def ask_as_planned(place: tuple[str, int], path: str, planned_ns: Sequence[int]) -> Asked:
    """Send each request at its time, whatever became of the others; return when all are answered or given up.

    Raises TestbedError where nobody listens.
    """
    with _Connections(place, path) as connections:
        start_ns = time.monotonic_ns()
        due = deque(start_ns + planned for planned in planned_ns)
        give_up_ns = start_ns + (planned_ns[-1] if planned_ns else 0) + round(ANSWER_TIMEOUT_S * 1e9)
        late: deque[int] = deque()
        answers: list[tuple[int, bool]] = []
        while len(answers) < len(planned_ns) and time.monotonic_ns() < give_up_ns:
            while due and due[0] <= time.monotonic_ns():
                late.append(due.popleft())
            while late and connections.send(late[0]):
                late.popleft()
            wait_until_ns = due[0] if due else give_up_ns
            answers += connections.receive(wait_until_ns)
        return _sum_up(answers, len(planned_ns), (time.monotonic_ns() - start_ns) / 1e9)


def ask_without_pause(place: tuple[str, int], path: str, at_once: int, seconds: float, lead_s: float = 0.0) -> Asked:
    """Keep so many requests under way, and count what is answered in so many seconds behind the lead.

    The lead leaves out the beginning, when nothing can have been answered yet. Raises TestbedError where nobody
    listens.
    """
    with _Connections(place, path) as connections:
        start_ns = time.monotonic_ns()
        counted_ns = start_ns + round(lead_s * 1e9)
        end_ns = counted_ns + round(seconds * 1e9)
        for _ in range(at_once):
            connections.send(start_ns)
        answers: list[tuple[int, bool]] = []
        while (now_ns := time.monotonic_ns()) < end_ns:
            come = list(connections.receive(min(end_ns, now_ns + 10**9)))
            for _ in come:
                connections.send(time.monotonic_ns())
            if now_ns >= counted_ns:
                answers += come
        return _sum_up(answers, len(answers), seconds)


def _sum_up(answers: Sequence[tuple[int, bool]], sent: int, seconds: float) -> Asked:
    times_ns = [time_ns for time_ns, is_good in answers if is_good]
    return Asked(times_ns, sent - len(times_ns), seconds)


class _Connections:
    """Kept connections to one place; a request under way has one of its own."""

    def __init__(self, place: tuple[str, int], path: str) -> None:
        self._place = place
        self._request = f"GET {path} HTTP/1.1\r\nHost: {place[0]}\r\n\r\n".encode()
        self._selector = selectors.SelectSelector()
        self._idle: list[socket.socket] = []
        self._busy: dict[socket.socket, tuple[int, bytes]] = {}
        """Since when, and what has come so far."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in (*self._idle, *self._busy):
            connection.close()
        self._selector.close()

    def send(self, since_ns: int) -> bool:
        """Send a request that counts from then on; return whether there was a connection for it."""
        if not self._idle and len(self._busy) == _MOST_CONNECTIONS:
            return False
        connection = self._idle.pop() if self._idle else self._open()
        try:
            connection.sendall(self._request)
        except OSError:  # closed by the server since the last answer
            connection.close()
            connection = self._open()
            connection.sendall(self._request)
        self._selector.register(connection, selectors.EVENT_READ)
        self._busy[connection] = since_ns, b""
        return True

    def receive(self, until_ns: int) -> Iterator[tuple[int, bool]]:
        """Wait for answers until then at the latest; yield of each what time it took and whether it was good."""
        timeout_s = max(0, until_ns - time.monotonic_ns()) / 1e9
        for key, _ in self._selector.select(timeout_s):
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            since_ns, before = self._busy[connection]
            try:
                data = connection.recv(_RECEIVE_BYTES)
            except OSError:
                data = b""
            whole = before + data
            if data and not is_whole_answer(whole):
                self._busy[connection] = since_ns, whole
                continue
            del self._busy[connection]
            self._selector.unregister(connection)
            if data:
                self._idle.append(connection)
            else:
                connection.close()
            yield time.monotonic_ns() - since_ns, whole[9:12] == _OK

    def _open(self) -> socket.socket:
        try:
            connection = socket.create_connection(self._place, ANSWER_TIMEOUT_S)
        except OSError as error:
            raise TestbedError(f"{self._place[0]}:{self._place[1]}: {error}") from error
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
