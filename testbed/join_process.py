"""Holds processes with a join of their own, in which transits wait; each times exchanges that pass beside them.

A process each, so that the memory and the garbage of one are not the other's; no IO but the pipe to whoever asks.
"""

import gc
import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from collector_plugin.garbage import collect_seldom
from collector_plugin.join import Join
from collector_plugin.join_settings import JoinSettings
from collector_plugin.reasons import TransitReason
from testbed.errors import TestbedError
from testbed.join_load import EXCHANGES, SPANS, keep_pending, make_exchanges, play
from testbed.kernel_facts import read_rss_mib

_WINDOW_NS, _SETTLE_NS = 600 * 10**9, 2 * 10**9
_FIRST_BATCHES = 20
"""A pair of nodes shows its first response late, as long as its clocks are not related."""

_PART = 20_000
"""Transits that are made at a time: what the making takes is no memory of the join's."""


class Filled(NamedTuple):
    """A join in which transits wait."""

    waiting: int
    """Those for which there was room."""
    displaced: int
    """Those that others displaced, counted under `transits_full`."""
    grown_mib: float
    """By how much the process's resident memory grew."""


class JoinProcess:
    """The near end of such a process."""

    def __init__(self, connection: Connection, filled: Filled) -> None:
        self._connection = connection
        self.filled = filled

    def time_span(self, batches: int) -> float:
        """Return the CPU time of a network span in us, over so many batches of exchanges. Raises TestbedError."""
        self._connection.send(batches)
        return float(_receive(self._connection))


@contextmanager
def join_process(pending: int) -> Iterator[JoinProcess]:
    """Hold a process in which so many transits came that no span comes for. Raises TestbedError."""
    context = multiprocessing.get_context("spawn")
    near, far = context.Pipe()
    process = context.Process(target=_serve, args=(far, pending), daemon=True)
    process.start()
    far.close()
    try:
        yield JoinProcess(near, Filled(*_receive(near)))
    finally:
        near.close()  # which ends it
        process.join()


def _receive(connection: Connection) -> Any:
    try:
        return connection.recv()
    except EOFError as error:
        raise TestbedError("a process with a join has ended; its own words are on standard error") from error


def _serve(connection: Connection, pending: int) -> None:
    join, passed = Join(JoinSettings(_WINDOW_NS, _SETTLE_NS)), 0
    play(join, make_exchanges(passed, _FIRST_BATCHES))
    passed += _FIRST_BATCHES * EXCHANGES
    collect_seldom()
    before_mib = read_rss_mib(os.getpid())
    for first in range(0, pending, _PART):
        keep_pending(join, first, min(first + _PART, pending))
    displaced = join.released[TransitReason.TRANSITS_FULL]
    connection.send((join.waiting_count, displaced, read_rss_mib(os.getpid()) - before_mib))
    while True:
        try:
            batches: int = connection.recv()
        except EOFError:
            return
        connection.send(_time_span(join, passed, batches))
        passed += batches * EXCHANGES


def _time_span(join: Join, passed: int, batches: int) -> float:
    made = make_exchanges(passed, batches)
    gc.collect()
    before_ns = time.process_time_ns()
    spans = play(join, made)
    spent_ns = time.process_time_ns() - before_ns
    if spans != batches * EXCHANGES * SPANS:
        raise TestbedError(f"{spans} spans came of exchanges that have {batches * EXCHANGES * SPANS}")
    return spent_ns / 1e3 / spans
