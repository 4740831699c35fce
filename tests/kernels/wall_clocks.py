"""Observes by how much two machines' wall clocks differ, by echoes over the cable: nothing of hopspan is used.

An echo bounds the difference from both sides, as a clock bounds another wherever messages pass in both directions:
far arrival - near departure >= difference >= far departure - near arrival. Arrivals are stamped by the kernel.
"""

import socket
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import msgspec

ECHO_PORT = 7007
MAX_DRIFT_PPM = 100
"""What docs/clocks.md allows two clocks to drift apart."""

_QUESTION = struct.Struct("<q")
_ANSWER = struct.Struct("<qqq")
_TIMESPEC = struct.Struct("qq")
_SO_TIMESTAMPNS = 35  # asm-generic/socket.h: CLOCK_REALTIME of the arrival; Python has no name for it
_ANSWER_TIMEOUT_S = 2.0


class Bounds(msgspec.Struct, frozen=True):
    """The far wall clock minus the near one lay between `low_ns` and `high_ns` at `at_ns` of the near one."""

    at_ns: int
    low_ns: int
    high_ns: int


@contextmanager
def echoing(address: str) -> Iterator[None]:
    """Answer each question with what it said, when it arrived and when the answer left."""
    with _open_stamped() as answering:
        answering.bind((address, ECHO_PORT))
        thread = threading.Thread(target=_answer, args=(answering,), name="echo", daemon=True)
        thread.start()
        yield


@contextmanager
def asking(address: str) -> Iterator[socket.socket]:
    """Hold a socket that asks the echo at an address."""
    with _open_stamped() as near:
        near.settimeout(_ANSWER_TIMEOUT_S)
        near.connect((address, ECHO_PORT))
        yield near


def observe(near: socket.socket, times: int) -> list[Bounds]:
    """Ask so many times and return what was learned; a question that got lost told nothing."""
    seen = []
    for _ in range(times):
        near.send(_QUESTION.pack(time.time_ns()))
        with suppress(TimeoutError):
            data, arrived_ns, _ = _receive(near)
            sent_ns, far_arrived_ns, far_sent_ns = _ANSWER.unpack(data)
            seen.append(Bounds(arrived_ns, far_sent_ns - arrived_ns, far_arrived_ns - sent_ns))
    return seen


def combine_bounds(seen: Iterable[Bounds], at_ns: int) -> Bounds:
    """Return what all observations say of one moment, each wider by the drift up to it."""
    low_ns, high_ns = -(1 << 63), 1 << 63
    for bounds in seen:
        drift_ns = abs(at_ns - bounds.at_ns) * MAX_DRIFT_PPM // 10**6
        low_ns = max(low_ns, bounds.low_ns - drift_ns)
        high_ns = min(high_ns, bounds.high_ns + drift_ns)
    return Bounds(at_ns, low_ns, high_ns)


def _open_stamped() -> socket.socket:
    opened = socket.socket(type=socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    return opened


def _answer(answering: socket.socket) -> None:
    """Answer until the socket is closed."""
    with suppress(OSError):
        while True:
            data, arrived_ns, asker = _receive(answering)
            answering.sendto(_ANSWER.pack(*_QUESTION.unpack(data), arrived_ns, time.time_ns()), asker)


def _receive(end: socket.socket) -> tuple[bytes, int, tuple[str, int]]:
    """Return a datagram, the kernel's stamp of its arrival, and who sent it."""
    data, ((_, _, stamp),), _, sender = end.recvmsg(_ANSWER.size, socket.CMSG_SPACE(_TIMESPEC.size))
    seconds, ns = _TIMESPEC.unpack(stamp)
    return data, seconds * 10**9 + ns, sender
