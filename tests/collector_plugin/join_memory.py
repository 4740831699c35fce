"""What the join keeps in memory, measured: many parents and transits of a made-up cluster, and their bytes."""

import gc
import tracemalloc
from collections.abc import Callable

from collector_plugin.halves import Origin
from collector_plugin.join import Join
from collector_plugin.join_settings import JoinSettings
from collector_plugin.packed_spans import join_half
from collector_plugin.parents import ParentStore
from collector_plugin.places import Place
from collector_plugin.waiting import WaitingTransits
from node_probe.wire_batch import NodeIdentity, RawBatch
from testbed.join_load import FAR, NEAR, NODES, make_many, make_parents
from tests.collector_plugin.builders import INTERFACES, OFFSET_NS, SECOND

REQUEST_BATCH = 20
"""Transits and spans that come in one request."""


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
    places = [Place(node, INTERFACES) for node in NODES]
    for first in range(0, count, REQUEST_BATCH):
        origin = Origin(places[first // REQUEST_BATCH % len(places)], OFFSET_NS + first)
        for raw in make_many(NEAR, first, REQUEST_BATCH):
            store.add(raw, join_half(raw.trace_id, raw.parent_id), origin, first)
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
