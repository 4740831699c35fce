"""What the join costs: CPU time for each transit, span and parent, and the memory of what waits.

One process and one thread, no IO: what comes in is made before the time is taken. Nodes have clocks of their own, as
in a cluster; an exchange is four transits of four stamps, which become fourteen spans.
"""

import gc
import struct
import time
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from collector_plugin.join import Join
from collector_plugin.join_settings import JoinSettings
from collector_plugin.reasons import TransitReason
from collector_plugin.span_walk import SPAN_KIND_CLIENT, SpanTimes
from node_probe.transit import Stamp, Transit
from node_probe.wire_batch import RawBatch, RawTransit
from node_probe.wire_record import encode_record
from tests.bench.figures import spread
from tests.collector_plugin.builders import (
    EPOCH_NS,
    INTERFACES,
    MS,
    OFFSET_NS,
    RESPONSE,
    SECOND,
    make_transit,
)
from tests.collector_plugin.join_memory import (
    FAR,
    NEAR,
    NODES,
    STRANGERS,
    draw_ids,
    keep_parents,
    keep_waiting,
    make_many,
    make_parents,
    measure,
)

PENDING = (1_000, 10_000, 100_000, 240_000)
"""Transits that wait beside those that are measured; a plugin keeps 250,000."""

USUAL_PENDING = 10_000
"""Where `join.us_per_transit` is taken: a second of 10,000 a second."""

EXCHANGES = 20
"""In one batch."""

SPANS, TRANSITS = 14, 4
"""Of one exchange between two nodes."""

STEP_NS = 100_000
"""Between two exchanges."""

_PENDING_FIRST = 1 << 32
"""Numbers of the transits that wait, apart from those of the exchanges."""

_ANSWER_FAR = make_transit({1: 3000, 2: 3003, 3: 3010, 4: 3020}, direction=RESPONSE, seq=9)
_ANSWER_NEAR = make_transit({5: 3120, 6: 3130, 7: 3140, 8: 3150}, direction=RESPONSE, seq=9)
_SEQ = struct.Struct("<I")

Batches = list[tuple[list[RawBatch], list[SpanTimes]]]


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


def make_exchanges(first: int, batches: int, step: int = EXCHANGES) -> Batches:
    """Return the batches of both nodes and the parents of many exchanges, numbered from `first` on."""
    made: Batches = []
    for number in range(first, first + batches * step, step):
        numbers = range(number, number + step)
        client, server = STRANGERS[number // step % 10], STRANGERS[(number // step + 1) % 10]
        parts = ((client, NEAR), (server, FAR), (server, _ANSWER_FAR), (client, _ANSWER_NEAR))
        traffic = [RawBatch(node, OFFSET_NS, INTERFACES, _make_later(transit, numbers)) for node, transit in parts]
        end_ns = EPOCH_NS + numbers[-1] * STEP_NS + 40 * MS
        made.append((traffic, [(draw_ids(n), SPAN_KIND_CLIENT, EPOCH_NS, end_ns) for n in numbers]))
    return made


def keep_pending(join: Join, first: int, count: int) -> None:
    """Let transits wait that no span will come for."""
    for number in range(_PENDING_FIRST + first, _PENDING_FIRST + count, 100):
        many = make_many(NEAR, number & 0xFFFFFFFF, 100)
        ids = [draw_ids(number + place) for place in range(100)]
        own = tuple(RawTransit(raw.record, key[:16], key[16:], raw.flags) for raw, key in zip(many, ids, strict=True))
        join.add_batch(RawBatch(NODES[number // 100 % len(NODES)], OFFSET_NS, INTERFACES, own), 0)


def play(join: Join, batches: Batches, *, span_first: bool = False) -> int:
    """Let exchanges pass through the join; return how many spans came of them."""
    spans = 0
    for traffic, parents in batches:
        if span_first:
            join.add_parents(b"resource", parents, 0)
        for batch in traffic:
            join.add_batch(batch, 0)
        if not span_first:
            join.add_parents(b"resource", parents, 0)
        spans += sum(len(emission.spans) for emission in join.take_due(0))
    return spans


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


def _make_later(transit: Transit, numbers: Iterable[int]) -> tuple[RawTransit, ...]:
    """Return one transit for each number, with ids, sequence number and time of its own."""
    many = []
    for number in numbers:
        stamps = tuple(Stamp(s.point, s.ifindex, s.monotonic_ns + number * STEP_NS) for s in transit.stamps)
        record = encode_record(msgspec.structs.replace(transit, stamps=stamps))
        ids = draw_ids(number)
        many.append(RawTransit(record[:4] + _SEQ.pack(number) + record[8:], ids[:16], ids[16:], 1))
    return tuple(many)
