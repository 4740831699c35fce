"""What the join costs: CPU time for each transit, span and parent, and the memory of what waits.

One process and one thread, no IO: what comes in is made before the time is taken (see testbed/join_load.py).
"""

import gc
import time
from collections.abc import Callable
from typing import Any

from collector_plugin.join import Join
from collector_plugin.join_settings import JoinSettings
from collector_plugin.reasons import TransitReason
from testbed.join_load import (
    EXCHANGES,
    SPANS,
    TRANSITS,
    Batches,
    keep_pending,
    make_exchanges,
    make_parents,
    play,
)
from tests.bench.figures import spread
from tests.collector_plugin.builders import SECOND
from tests.collector_plugin.join_memory import keep_parents, keep_waiting, measure

PENDING = (1_000, 10_000, 100_000, 240_000)
"""Transits that wait beside those that are measured; a plugin keeps 250,000."""

USUAL_PENDING = 10_000
"""Where `join.us_per_transit` is taken: a second of 10,000 a second."""


def describe() -> dict[str, str]:
    """Return what the figures are."""
    return {
        "join.us_per_transit": f"CPU time from read batch to network span, transits before spans, {USUAL_PENDING} "
        "others waiting; 3.5 spans each; without reading and writing of protobuf",
        "join.us_per_transit_span_first": "the same where the application's span came before",
        "join.us_per_parent": f"an application span that nothing waits for, {USUAL_PENDING} transits waiting",
        "pending.us_per_span": "CPU time for each network span, by the number of transits that wait beside; ratio: "
        "of the most to the fewest",
        "pending.bytes_per_transit": "tracemalloc; each of another parent, four stamps",
        "pending.bytes_per_parent": "tracemalloc, without the hash table of 4 MiB",
    }


def measure_join(rounds: int, *, quick: bool) -> dict[str, Any]:
    """Return the sections `join` and `pending`."""
    batches = 10 if quick else 100
    measured = [_run_round(batches) for _ in range(rounds)]
    us_per_span: dict[str, Any] = {
        f"at_{count}": spread([by_count[count] / SPANS for by_count, *_ in measured]) for count in PENDING
    }
    us_per_span["ratio"] = spread([by_count[PENDING[-1]] / by_count[PENDING[0]] for by_count, *_ in measured])
    return {
        "join": {
            "us_per_transit": spread([by_count[USUAL_PENDING] / TRANSITS for by_count, *_ in measured]),
            "us_per_transit_span_first": spread([span_first / TRANSITS for _, span_first, _ in measured]),
            "us_per_parent": spread([us_per_parent for *_, us_per_parent in measured]),
        },
        "pending": {"us_per_span": us_per_span, **_measure_memory(quick=quick)},
    }


def _run_round(batches: int) -> tuple[dict[int, float], float, float]:
    """Return microseconds: of an exchange by the number waiting, of one whose span came first, of a parent."""
    join = Join(JoinSettings(600 * SECOND, 2 * SECOND))
    by_count: dict[int, float] = {}
    span_first = parent = 0.0
    # A pair of nodes shows its first response late, as long as its clocks are not related.
    play(join, make_exchanges(0, 20))
    first, waiting = 20 * EXCHANGES, 0
    for count in PENDING:
        keep_pending(join, waiting, count)
        waiting = count
        by_count[count] = _time_exchanges(join, make_exchanges(first, batches), span_first=False)
        first += batches * EXCHANGES
        if count == USUAL_PENDING:
            span_first = _time_exchanges(join, make_exchanges(first, batches), span_first=True)
            first += batches * EXCHANGES
            parent = _time_parents(join, first, batches)
    if join.released[TransitReason.TRANSITS_FULL]:
        raise AssertionError("transits that should wait had no room: the figures are of fewer")
    return by_count, span_first, parent


def _time_exchanges(join: Join, batches: Batches, *, span_first: bool) -> float:
    spans, spent_us = _spend(lambda: play(join, batches, span_first=span_first))
    wanted = len(batches) * EXCHANGES * SPANS
    if spans != wanted:
        raise AssertionError(f"{spans} spans came of exchanges that have {wanted}")
    return spent_us / (len(batches) * EXCHANGES)


def _time_parents(join: Join, first: int, batches: int) -> float:
    requests = [
        make_parents(number, 100) for number in range(first + (1 << 40), first + (1 << 40) + 500 * batches, 100)
    ]

    def add_all() -> int:
        for spans in requests:
            join.add_parents(b"resource", spans, 0)
        return sum(len(spans) for spans in requests)

    count, spent_us = _spend(add_all)
    return spent_us / count


def _spend(work: Callable[[], int]) -> tuple[int, float]:
    """Return what `work` does, and the CPU time of this process in microseconds."""
    gc.collect()
    before_ns = time.process_time_ns()
    result = work()
    return result, (time.process_time_ns() - before_ns) / 1_000


def _measure_memory(*, quick: bool) -> dict[str, float]:
    transits, parents = (10_000, 50_000) if quick else (100_000, 500_000)
    empty = measure(lambda: keep_parents(0))
    return {
        "bytes_per_transit": round(measure(lambda: keep_waiting(transits)) / transits, 1),
        "bytes_per_parent": round((measure(lambda: keep_parents(parents)) - empty) / parents, 1),
    }
