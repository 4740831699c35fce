"""What the HTTP receiver holds while it is attacked: its budget and little more, measured in a process of its own."""

import contextlib
import gzip
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from collector_plugin.http_listener import find_connection_limit
from tests.collector_plugin.http_bench import DEADLINE_S, read_replies, write_post
from tests.collector_plugin.http_victim import BUDGET_BYTES
from tests.requirements import lack

ROOT = Path(__file__).parents[2]

SLACK_BYTES = 32 << 20
"""What may be held beyond the budget."""

LARGEST = 16 << 20


class Victim:
    """The receiver's process."""

    def __init__(self) -> None:
        """Start it, and let it serve one request, so that all code is loaded."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.collector_plugin.http_victim"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = int(self._read_line())
        assert self.talk(write_post(gzip.compress(b"x"), "Content-Encoding: gzip", "Connection: close")) == [200]
        self._first_bytes, _, _ = self.ask()

    def ask(self) -> tuple[int, int, int]:
        """Return the peak of its memory, what requests hold (bytes), and how many were refused for want of room."""
        assert self._process.stdin is not None
        self._process.stdin.write("peak\n")
        self._process.stdin.flush()
        peak_bytes, held_bytes, refused = map(int, self._read_line().split())
        return peak_bytes, held_bytes, refused

    def measure_growth(self) -> int:
        """Return how many bytes the peak is above what serving one request took."""
        return self.ask()[0] - self._first_bytes

    def talk(self, data: bytes) -> list[int]:
        """Send the bytes; return the statuses of the answers, those that could be read."""
        statuses: list[int] = []
        with (
            contextlib.suppress(ConnectionError),
            socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_S) as connection,
        ):
            connection.sendall(data)
            statuses.extend(reply.status for reply in read_replies(connection))
        return statuses

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=DEADLINE_S)

    def _read_line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@pytest.fixture
def victim() -> Iterator[Victim]:
    """A receiver in a process of its own."""
    victim = Victim()
    yield victim
    victim.close()


def run_at_once(count: int, work: Callable[[], None]) -> None:
    """Run the work in so many threads, and wait for them."""
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("kind", ["plain", "chunked", "gzip bomb", "zstd bomb", "packed"])
def test_flood_of_large_requests_stays_within_the_budget(victim: Victim, kind: str) -> None:
    """Sixteen clients send the largest requests there are, several times what the budget holds."""
    plain = bytes(LARGEST)
    data = {
        "plain": lambda: write_post(plain, "Connection: close"),
        "chunked": lambda: write_post(
            b"%x\r\n%b\r\n0\r\n\r\n" % (LARGEST, plain), "Transfer-Encoding: chunked", "Connection: close"
        ),
        "gzip bomb": lambda: write_post(
            gzip.compress(bytes(200 << 20)), "Content-Encoding: gzip", "Connection: close"
        ),
        "zstd bomb": lambda: write_post(
            zstandard.compress(bytes(1 << 30)), "Content-Encoding: zstd", "Connection: close"
        ),
        "packed": lambda: write_post(zstandard.compress(plain), "Content-Encoding: zstd", "Connection: close"),
    }[kind]()
    statuses: list[int] = []

    def attack() -> None:
        for _ in range(3):
            statuses.extend(victim.talk(data))

    run_at_once(16, attack)
    assert victim.measure_growth() <= BUDGET_BYTES + SLACK_BYTES
    assert victim.ask()[1] == 0
    assert set(statuses) <= {200, 413, 503}
    # Alone it finds room: among many all may be refused for want of it.
    assert (victim.talk(data) == [413]) == ("bomb" in kind)
    assert victim.talk(write_post(b"another client's", "Connection: close")) == [200]


@pytest.mark.parametrize("item", ['{"key":"a"}', '{"key":"some.key","value":{"stringValue":"some value"}}'])
def test_flood_of_json_stays_within_the_budget(victim: Victim, item: str) -> None:
    """Sixteen clients with JSON of 4 MiB, which becomes up to twenty times as much while it is read."""
    items = ",".join([item] * ((4 << 20) // (len(item) + 1)))
    body = f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"attributes":[{items}]}}]}}]}}]}}'.encode()
    data = write_post(body, "Connection: close", content_type="application/json")
    statuses: list[int] = []
    run_at_once(16, lambda: statuses.extend(victim.talk(data)))
    assert victim.measure_growth() <= BUDGET_BYTES + SLACK_BYTES
    assert victim.ask()[1] == 0
    assert set(statuses) <= {200, 413, 503}
    small = write_post(b'{"resourceSpans":[]}', "Connection: close", content_type="application/json")
    assert victim.talk(small) == [200]


def test_pipelines_and_endless_heads_hold_little(victim: Victim) -> None:
    """Five hundred connections, each with a burst of requests, or with a head that never ends."""
    if find_connection_limit() < 1_000:
        lack("a process here may open too few files")
    burst = write_post(b"") * 1_000
    head = b"POST /v1/traces HTTP/1.1\r\n" + b"X: " + b"x" * (30 << 10)
    with contextlib.ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection(("127.0.0.1", victim.port), timeout=DEADLINE_S))
            for _ in range(500)
        ]
        for number, connection in enumerate(connections):
            with contextlib.suppress(ConnectionError):
                connection.sendall(burst if number % 2 else head)
        assert victim.talk(write_post(b"another client's", "Connection: close")) == [200]
        assert victim.measure_growth() <= BUDGET_BYTES + SLACK_BYTES
