"""Hops of odd requests over mutual TLS, each compared with the packet that it is of."""

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from itertools import count
from pathlib import Path

import pytest

from testbed.deadline import pause
from testbed.namespace import open_socket
from testbed.topology import FRONTEND, SIDECAR_OUTBOUND_PORT
from tests.requirements import require_bcc
from tests.soak import SOAK, scale
from tests.testbed.encrypted_load import run_encrypted, spread_versions

pytestmark = [pytest.mark.testbed, pytest.mark.timeout(900)]

LARGE_BYTES = 300_000
IDLE_S = 1.5
DELAY_MS = 200
STEP_NS = 20_000_000
"""The wall clock is set so far ahead, and back again."""

_numbers = count(1)


@contextmanager
def connected() -> Iterator[HTTPConnection]:
    """Hold a connection of the frontend's application to its sidecar."""
    connection = HTTPConnection("127.0.0.1", SIDECAR_OUTBOUND_PORT, timeout=60)
    connection.sock = open_socket(FRONTEND.namespace)
    connection.sock.settimeout(60)
    connection.sock.connect(("127.0.0.1", SIDECAR_OUTBOUND_PORT))
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    yield connection
    connection.close()


def send(connection: HTTPConnection, body: bytes | None = None, delay_ms: int = 0) -> None:
    """Send a request of a trace of its own."""
    number = next(_numbers)
    headers = {"Host": "cart", "traceparent": f"00-{number:032x}-{number:016x}-01"}
    if delay_ms:
        headers["baggage"] = f"delay_ms.cart={delay_ms}"
    connection.request("GET" if body is None else "POST", "/cart", body, headers)


def ask(connection: HTTPConnection, body: bytes | None = None) -> None:
    """Send a request and read its answer."""
    send(connection, body)
    response = connection.getresponse()
    response.read()
    assert response.status == 200


def send_large_bodies() -> None:
    """Send them both ways, small requests between them."""
    with connected() as connection:
        for number in range(scale(23)):
            ask(connection, b"x" * LARGE_BYTES if number % 2 else None)


def rest_between_requests() -> None:
    """Leave the connection idle again and again."""
    with connected() as connection:
        for _ in range(min(scale(5), 50)):
            ask(connection)
            pause(IDLE_S)


def abort_requests() -> None:
    """Close the connection before the answer, every other time; the rest goes on over others."""
    for number in range(scale(23)):
        with connected() as connection:
            ask(connection)
            if number % 2:
                send(connection, delay_ms=DELAY_MS)
                pause(DELAY_MS / 1000 / 2)


def send_what_is_answered_early() -> None:
    """Let the sidecar answer at the head of a large request, so that the connection may end amid it."""
    for _ in range(scale(23)):
        with connected() as connection, suppress(HTTPException, OSError):
            ask(connection)
            ask(connection, b"x" * LARGE_BYTES)
            ask(connection)


def step_the_clock() -> None:
    """Set the wall clock ahead and back, again and again, while requests go on; each step lasts."""
    drive_with_steps(scale(5), 47, IDLE_S)


def step_the_clock_and_take_it_back() -> None:
    """Set it back within a request or two, before the agent can see it: what was there is not known for minutes."""
    drive_with_steps(scale(24), 2, 0.0)


def drive_with_steps(steps: int, requests: int, pause_s: float) -> None:
    """Send so many requests behind each step, and pause."""
    offset_ns = time.time_ns() - time.monotonic_ns()
    try:
        with connected() as connection:
            for number in range(steps):
                step_ns = 0 if number % 2 else STEP_NS
                time.clock_settime_ns(time.CLOCK_REALTIME, time.monotonic_ns() + offset_ns + step_ns)
                for _ in range(requests):
                    ask(connection)
                pause(pause_s)
    finally:
        time.clock_settime_ns(time.CLOCK_REALTIME, time.monotonic_ns() + offset_ns)


DRIVES: dict[Callable[[], None], tuple[bool, float]] = {
    send_large_bodies: (False, 0.8),
    rest_between_requests: (True, 0.7),
    abort_requests: (False, 0.4),
    send_what_is_answered_early: (True, 0.2),
}
"""Whether the called sidecar answers by itself, and how many must have all hops at least."""

if SOAK in os.environ:
    # It is the machine's own clock, so only where that was asked for.
    DRIVES |= {step_the_clock: (True, 0.1), step_the_clock_and_take_it_back: (True, 0.0)}


@pytest.mark.parametrize(
    ("drive", "version"), spread_versions(DRIVES), ids=lambda value: getattr(value, "__name__", value)
)
def test_no_hop_is_wrong(two_nodes_vxlan: None, tmp_path: Path, drive: Callable[[], None], version: str) -> None:
    """What is not clear has none, and what is clear has all."""
    del two_nodes_vxlan
    require_bcc()
    answering, least = DRIVES[drive]
    outcome = run_encrypted(tmp_path, drive, version=version, answering=answering)
    sys.stdout.write(f"\n{drive.__name__}, {version}: {outcome}\n")
    assert not outcome.wrong[:3]
    assert outcome.calls > 0
    assert outcome.coverage >= least
