"""A made-up cluster's load for the plugin's join alone: exchanges that pass, beside transits that wait. No IO.

Nodes have clocks of their own, as in a cluster; an exchange is four transits of four stamps, which become fourteen
spans. All is made before anybody takes the time.
"""

import hashlib
import struct
from collections.abc import Iterable
from ipaddress import ip_address

import msgspec

from collector_plugin.join import Join
from collector_plugin.span_walk import SPAN_KIND_CLIENT, SpanTimes
from node_probe.transit import Context, ContextFormat, Direction, Point, Stamp, Transit, Tunnel
from node_probe.wire_batch import NodeIdentity, RawBatch, RawTransit
from node_probe.wire_record import encode_record

EXCHANGES = 20
"""In one batch."""

SPANS, TRANSITS = 14, 4
"""Of one exchange between two nodes."""

STEP_NS = 100_000
"""Between two exchanges."""

_MONOTONIC_NS = 5_000 * 10**9
_EPOCH_NS = 1_700_000_000 * 10**9
_OFFSET_NS = _EPOCH_NS - _MONOTONIC_NS
_WAIT_NS = 40 * 10**6
"""How long a parent waits for its answer."""

_INTERFACES = {2: "ens3", 3: "veth0a", 4: "flannel.1"}
_IFINDEX = (9, 3, 4, 2, 2, 4, 3, 9)
"""Of the points, the first one first."""

_PENDING_FIRST = 1 << 32
"""Numbers of the transits that wait, apart from those of the exchanges."""

_PENDING_BATCH = 100
_SEQ = struct.Struct("<I")

Batches = list[tuple[list[RawBatch], list[SpanTimes]]]


def _make_transit(direction: Direction, seq: int, stamps_us: dict[int, int]) -> Transit:
    addresses = [ip_address(text).packed for text in ("10.244.1.2", "10.96.0.10", "192.168.7.1", "192.168.7.2")]
    client, server, near, far = (bytes(10) + b"\xff\xff" + address for address in addresses)
    outer = (near, far) if direction is Direction.REQUEST else (far, near)
    return Transit(
        context=Context(bytes(16), bytes(8), 1, ContextFormat.TRACEPARENT),
        direction=direction,
        seq=seq,
        tsval=100,
        client_port=40_000,
        server_port=8080,
        client_address=client,
        server_address=server,
        stamps=tuple(
            Stamp(Point(point), _IFINDEX[point - 1], _MONOTONIC_NS + us * 1_000) for point, us in stamps_us.items()
        ),
        tunnel=Tunnel.VXLAN,
        vni=1,
        outer_source=outer[0],
        outer_destination=outer[1],
    )


_NAMES = [f"node-{number}" for number in range(100)]
NODES = [NodeIdentity(name, f"host-id-{name}", name, "boot-a", "") for name in _NAMES]
STRANGERS = [NodeIdentity(name, f"host-id-{name}", name, f"boot-of-{name}", "") for name in _NAMES]
"""The same nodes, each with a clock of its own."""

NEAR = _make_transit(Direction.REQUEST, 4242, {1: 1000, 2: 1003, 3: 1010, 4: 1020})
FAR = _make_transit(Direction.REQUEST, 4242, {5: 1120, 6: 1130, 7: 1140, 8: 1150})
_ANSWER_FAR = _make_transit(Direction.RESPONSE, 9, {1: 3000, 2: 3003, 3: 3010, 4: 3020})
_ANSWER_NEAR = _make_transit(Direction.RESPONSE, 9, {5: 3120, 6: 3130, 7: 3140, 8: 3150})


def draw_ids(number: int) -> bytes:
    """Return trace id and span id of one of many parents: always the same ones."""
    return hashlib.blake2b(number.to_bytes(8, "big"), digest_size=24).digest()


def make_many(transit: Transit, first: int, count: int) -> tuple[RawTransit, ...]:
    """Return transits like `transit`, each of its own parent and its own bytes."""
    record = encode_record(transit)
    many = []
    for number in range(first, first + count):
        ids = draw_ids(number)
        own = record[:4] + (number & 0xFFFFFFFF).to_bytes(4, "little") + record[8:]
        many.append(RawTransit(own, ids[:16], ids[16:], 1))
    return tuple(many)


def make_parents(first: int, count: int) -> list[SpanTimes]:
    """Return the parents of such transits."""
    numbers = range(first, first + count)
    return [(draw_ids(number), SPAN_KIND_CLIENT, _EPOCH_NS, _EPOCH_NS + _WAIT_NS) for number in numbers]


def make_exchanges(first: int, batches: int, step: int = EXCHANGES) -> Batches:
    """Return the batches of both nodes and the parents of many exchanges, numbered from `first` on."""
    made: Batches = []
    for number in range(first, first + batches * step, step):
        numbers = range(number, number + step)
        client, server = STRANGERS[number // step % 10], STRANGERS[(number // step + 1) % 10]
        parts = ((client, NEAR), (server, FAR), (server, _ANSWER_FAR), (client, _ANSWER_NEAR))
        traffic = [RawBatch(node, _OFFSET_NS, _INTERFACES, _make_later(transit, numbers)) for node, transit in parts]
        end_ns = _EPOCH_NS + numbers[-1] * STEP_NS + _WAIT_NS
        made.append((traffic, [(draw_ids(n), SPAN_KIND_CLIENT, _EPOCH_NS, end_ns) for n in numbers]))
    return made


def keep_pending(join: Join, first: int, count: int) -> None:
    """Let transits wait that no span will come for; those before `first` wait already."""
    for number in range(_PENDING_FIRST + first, _PENDING_FIRST + count, _PENDING_BATCH):
        node = NODES[number // _PENDING_BATCH % len(NODES)]
        join.add_batch(RawBatch(node, _OFFSET_NS, _INTERFACES, make_many(NEAR, number, _PENDING_BATCH)), 0)


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


def _make_later(transit: Transit, numbers: Iterable[int]) -> tuple[RawTransit, ...]:
    """Return one transit for each number, with ids, sequence number and time of its own."""
    many = []
    for number in numbers:
        stamps = tuple(Stamp(s.point, s.ifindex, s.monotonic_ns + number * STEP_NS) for s in transit.stamps)
        record = encode_record(msgspec.structs.replace(transit, stamps=stamps))
        ids = draw_ids(number)
        many.append(RawTransit(record[:4] + _SEQ.pack(number) + record[8:], ids[:16], ids[16:], 1))
    return tuple(many)
