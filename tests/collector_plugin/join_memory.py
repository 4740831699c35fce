"""What the join keeps in memory, measured: many parents and transits of a made-up cluster, and their bytes."""

import gc
import hashlib
import tracemalloc
from collections.abc import Callable

from collector_plugin.halves import Origin
from collector_plugin.join import Join
from collector_plugin.join_settings import JoinSettings
from collector_plugin.parents import ParentStore
from collector_plugin.span_walk import SPAN_KIND_CLIENT, SpanTimes
from collector_plugin.waiting import WaitingTransits
from node_probe.transit import Transit
from node_probe.wire_batch import NodeIdentity, RawBatch, RawTransit
from node_probe.wire_record import encode_record
from tests.collector_plugin.builders import EPOCH_NS, INTERFACES, MS, OFFSET_NS, SECOND, make_node, make_transit

REQUEST_BATCH = 20
"""Transits and spans that come in one request."""

NODES = [make_node(f"node-{number}") for number in range(100)]
STRANGERS = [make_node(f"node-{number}", clock_id=f"boot-{number}") for number in range(100)]

NEAR = make_transit({1: 1000, 2: 1003, 3: 1010, 4: 1020})
FAR = make_transit({5: 1120, 6: 1130, 7: 1140, 8: 1150})


def measure(build: Callable[[], object]) -> int:
    """Return the bytes that what `build` returns takes."""
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = build()
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert kept is not None
    return taken


def draw_ids(number: int) -> bytes:
    """Return trace id and span id of one of many parents: always the same ones."""
    return hashlib.blake2b(number.to_bytes(8, "big"), digest_size=24).digest()


def make_many(transit: Transit, first: int, count: int) -> tuple[RawTransit, ...]:
    """Return transits like `transit`, each of its own parent and its own bytes."""
    record = encode_record(transit)
    many = []
    for number in range(first, first + count):
        ids = draw_ids(number)
        own = record[:4] + number.to_bytes(4, "little") + record[8:]
        many.append(RawTransit(own, ids[:16], ids[16:], 1))
    return tuple(many)


def make_parents(first: int, count: int) -> list[SpanTimes]:
    """Return the parents of such transits."""
    numbers = range(first, first + count)
    return [(draw_ids(number), SPAN_KIND_CLIENT, EPOCH_NS, EPOCH_NS + 40 * MS) for number in numbers]


def keep_parents(count: int) -> ParentStore:
    """Return a store with `count` spans of fifty services."""
    store = ParentStore(128 << 20, 70 * SECOND)
    for first in range(0, count, REQUEST_BATCH):
        resource = bytes([first % 50]) * 500
        store.remember(resource, make_parents(first, REQUEST_BATCH), first * SECOND // 10_000)
    return store


def keep_waiting(count: int) -> WaitingTransits:
    """Return a store with `count` transits, each of another parent: the most that one may take."""
    store = WaitingTransits(60 * SECOND)
    for first in range(0, count, REQUEST_BATCH):
        origin = Origin(NODES[first // REQUEST_BATCH % len(NODES)], OFFSET_NS + first, INTERFACES)
        for raw in make_many(NEAR, first, REQUEST_BATCH):
            store.add(raw, origin, first)
    return store


def keep_messages(count: int, far_nodes: list[NodeIdentity] | None = None) -> Join:
    """Return a join that saw `count` requests with their parents: the near half, and the far one of `far_nodes`."""
    join = Join(JoinSettings(60 * SECOND, 2 * SECOND))
    for first in range(0, count, REQUEST_BATCH):
        number = first // REQUEST_BATCH
        join.add_parents(b"resource", make_parents(first, REQUEST_BATCH), 0)
        near = make_many(NEAR, first, REQUEST_BATCH)
        join.add_batch(RawBatch(NODES[number % 100], OFFSET_NS, INTERFACES, near), 0)
        if far_nodes is not None:
            far = make_many(FAR, first, REQUEST_BATCH)
            join.add_batch(RawBatch(far_nodes[(number + 1) % 100], OFFSET_NS, INTERFACES, far), 0)
        join.take_due(0)
    return join
