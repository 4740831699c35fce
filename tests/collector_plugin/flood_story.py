"""Honest pods that call each other, and one pod that forges contexts without end, on a simulated clock."""

import itertools
import struct
from collections.abc import Generator, Iterator

from collector_plugin.span_walk import SPAN_KIND_CLIENT, SpanTimes
from node_probe.transit import Transit
from node_probe.wire_batch import RawBatch, RawTransit
from node_probe.wire_record import HEAD_BYTES, encode_record
from testbed.join_load import FAR, NEAR, NODES, draw_ids
from tests.collector_plugin.builders import EPOCH_NS, INTERFACES, MS, NODE_1, OFFSET_NS, RESPONSE, make_transit

PODS = 400
"""Honest ones, each a source of its own: by chance a few in ten thousand share the forger's place, not one in 100."""

SPANS, TRANSITS = 14, 4
"""Of an honest exchange."""

_ANSWER_FAR = make_transit({1: 3000, 2: 3003, 3: 3010, 4: 3020}, direction=RESPONSE, seq=9)
_ANSWER_NEAR = make_transit({5: 3120, 6: 3130, 7: 3140, 8: 3150}, direction=RESPONSE, seq=9)
_RECORDS = {transit: encode_record(transit) for transit in (NEAR, FAR, _ANSWER_FAR, _ANSWER_NEAR)}
_NUMBER = struct.Struct("<I")


def make_exchange(number: int) -> list[RawBatch]:
    """Return what the nodes report of an honest exchange; the pods take turns."""
    pod = number % PODS
    client, server = NODES[pod % 100], NODES[(pod + 1) % 100]
    reports = ((client, NEAR), (server, FAR), (server, _ANSWER_FAR), (client, _ANSWER_NEAR))
    return [
        RawBatch(node, OFFSET_NS, INTERFACES, (_make_transit(transit, pod, number),)) for node, transit in reports
    ]


def make_parent(number: int) -> SpanTimes:
    """Return the application span of an honest exchange."""
    return draw_ids(number), SPAN_KIND_CLIENT, EPOCH_NS, EPOCH_NS + 40 * MS


def forge(size: int) -> Iterator[RawBatch]:
    """Yield batches of so many transits of one pod: contexts that nobody's span has, each another."""
    record = _RECORDS[NEAR]
    for first in itertools.count(1, size):
        numbers = range(first, first + size)
        forged = (RawTransit(record, number.to_bytes(16, "big"), b"\xff" * 8, 1) for number in numbers)
        yield RawBatch(NODE_1, OFFSET_NS, INTERFACES, tuple(forged))


def reuse(size: int) -> Generator[RawBatch, list[bytes], None]:
    """Yield batches of so many transits of one pod, each a message of its own, under contexts that are sent in."""
    record = _RECORDS[NEAR]
    contexts: list[bytes] = []
    for first in itertools.count(1, size):
        forged = []
        for number in range(first, first + size) if contexts else ():
            ids = contexts[number % len(contexts)]
            forged.append(RawTransit(record[:4] + _NUMBER.pack(number) + record[8:], ids[:16], ids[16:], 1))
        contexts = yield RawBatch(NODE_1, OFFSET_NS, INTERFACES, tuple(forged))


def _make_transit(transit: Transit, pod: int, number: int) -> RawTransit:
    """Return the transit with ids and sequence number of its own, and with the pod's device and addresses."""
    data = bytearray(_RECORDS[transit])
    own = _NUMBER.pack(pod)
    data[4:8] = _NUMBER.pack(number)
    data[28:32] = data[44:48] = own
    # The first stamp's device, which is who sent it where a pod of this node did.
    data[HEAD_BYTES + 4 : HEAD_BYTES + 8] = own
    ids = draw_ids(number)
    return RawTransit(bytes(data), ids[:16], ids[16:], 1)
