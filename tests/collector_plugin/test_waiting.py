"""Transits without a parent: kept as they came, for a window, in little room, and fairly."""

from ipaddress import ip_address

import pytest

from collector_plugin import waiting
from collector_plugin.halves import Origin
from collector_plugin.packed_spans import join_half
from collector_plugin.places import KnownPlaces
from collector_plugin.reasons import TransitReason
from collector_plugin.waiting import MAX_PER_PARENT, WaitingTransits
from node_probe.transit import Transit
from node_probe.wire_batch import NodeIdentity
from tests.collector_plugin.builders import (
    INTERFACES,
    NODE_1,
    NODE_2,
    OFFSET_NS,
    PARENT_KEY,
    RESPONSE,
    SECOND,
    SPAN_ID,
    TRACE_ID,
    make_raw,
    make_transit,
)

KNOWN = KnownPlaces()
NEAR = make_transit({1: 0, 2: 3, 3: 9, 4: 12})
FAR = make_transit({5: 112, 6: 115, 7: 120, 8: 121})
ANSWER = make_transit({5: 900, 6: 903, 7: 906, 8: 908}, direction=RESPONSE, seq=77)
LEFT, RIGHT = TRACE_ID[:8], TRACE_ID[8:]


def make_origin(
    node: NodeIdentity = NODE_1, offset_ns: int = OFFSET_NS, interfaces: dict[int, str] = INTERFACES
) -> Origin:
    """Return where a batch comes from."""
    return Origin(KNOWN.find(node, interfaces), offset_ns)


class Room:
    """A store and what was put into it."""

    def __init__(self) -> None:
        """Start empty, with a window of 60 s."""
        self.store = WaitingTransits(60 * SECOND)

    def add(self, transit: Transit, origin: Origin | None = None, at_s: float = 0) -> TransitReason | None:
        """Let a transit wait."""
        raw = make_raw(transit)
        return self.store.add(
            raw, join_half(raw.trace_id, raw.parent_id), origin or make_origin(), int(at_s * SECOND)
        )

    def take(self, parent_key: bytes = PARENT_KEY) -> list[Transit]:
        """Take out what waits for the parent."""
        return [raw.decode() for raw, _ in self.store.take(parent_key)]

    def is_empty(self) -> bool:
        """Tell whether nothing is left, in any of its parts."""
        return (self.store.count, self.store.size_bytes) == (0, 0)


def test_transits_come_back_as_they_were_sent() -> None:
    """Both nodes and both directions of one exchange, each with the origin of its batch."""
    room = Room()
    origins = [make_origin(NODE_1), make_origin(NODE_2, OFFSET_NS - 5), make_origin(NODE_1, OFFSET_NS + 3)]
    for transit, origin in zip((NEAR, FAR, ANSWER), origins, strict=True):
        assert room.add(transit, origin) is None
    assert room.store.count == 3
    taken = room.store.take(PARENT_KEY)
    assert [raw.decode() for raw, _ in taken] == [NEAR, FAR, ANSWER]
    assert [origin for _, origin in taken] == origins
    assert room.is_empty()
    assert room.take() == []


def test_only_what_waits_for_that_parent_is_taken() -> None:
    """Another span of the trace, or the same span id in another trace, is another parent."""
    room = Room()
    room.add(NEAR)
    assert room.take(TRACE_ID + b"\x01" * 8) == []
    assert room.take(b"\x01" * 16 + SPAN_ID) == []
    assert room.take(b"\x01" * 8 + RIGHT + SPAN_ID) == []
    assert room.take() == [NEAR]


@pytest.mark.parametrize("sent", [LEFT + RIGHT, bytes(8) + RIGHT])
@pytest.mark.parametrize("known", [LEFT + RIGHT, bytes(8) + RIGHT])
def test_trace_id_may_have_lost_its_left_half(sent: bytes, known: bytes) -> None:
    """B3 with 64 bits in the packet and 128 in the span, or the other way round; others stay."""
    room = Room()
    transit = make_transit({2: 0, 4: 9}, trace_id=sent)
    other = make_transit({2: 0, 4: 9}, trace_id=b"\x07" * 8 + RIGHT)
    room.add(other)
    room.add(transit)
    assert room.take(known + SPAN_ID) == ([other, transit] if known[:8] == bytes(8) else [transit])


def test_transit_waits_for_its_window() -> None:
    """Each of a parent's messages has its own; the halves of one go together."""
    room = Room()
    room.add(NEAR, at_s=0)
    room.add(ANSWER, at_s=20)
    room.add(FAR, make_origin(NODE_2), at_s=30)
    assert room.store.pop_due(60 * SECOND - 1) == 0
    assert room.store.pop_due(60 * SECOND) == 2
    assert room.store.pop_due(80 * SECOND - 1) == 0
    assert room.store.pop_due(80 * SECOND) == 1
    assert room.is_empty()


def test_rest_of_a_group_waits_not_much_longer() -> None:
    """What is filed anew stands behind younger ones, and is found when those are due at the latest."""
    room = Room()
    room.add(NEAR, at_s=0)
    room.add(ANSWER, at_s=1)
    room.add(make_transit({2: 0, 7: 1}, parent_id=b"\x05" * 8), at_s=59)
    assert room.store.pop_due(60 * SECOND) == 1
    assert room.store.pop_due(61 * SECOND) == 0
    assert room.store.pop_due(119 * SECOND) == 2
    assert room.is_empty()


def test_batch_that_comes_again_is_a_duplicate() -> None:
    """The same record of the same node is not kept twice, also where the batch was made anew; another node's is."""
    room = Room()
    room.add(NEAR)
    assert room.add(NEAR, at_s=5) is TransitReason.DUPLICATE
    assert room.add(NEAR, make_origin(offset_ns=OFFSET_NS + 40)) is TransitReason.DUPLICATE
    assert room.add(NEAR, make_origin(NODE_2)) is None
    assert room.take() == [NEAR, NEAR]
    assert room.is_empty()


def test_parent_is_waited_for_by_so_many() -> None:
    """Whatever their size: the cap counts transits."""
    room = Room()
    ways = [{2: 0, 7: 1}, {1: 0, 2: 1, 3: 2, 4: 3}, {4: 0}]
    reasons = [room.add(make_transit(ways[seq % 3], seq=seq)) for seq in range(MAX_PER_PARENT + 2)]
    assert reasons == [None] * MAX_PER_PARENT + [TransitReason.PARENT_CAP] * 2
    assert len(room.take()) == MAX_PER_PARENT
    assert room.is_empty()


def test_whoever_floods_displaces_himself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forged contexts without end, from several pods: what honest ones sent keeps waiting."""
    monkeypatch.setattr(waiting, "MAX_TRANSITS", 1_000)
    room = Room()
    honest = [make_transit({2: 0, 7: 1}, parent_id=number.to_bytes(8, "big"), seq=number) for number in range(1, 24)]
    for number, transit in enumerate(honest):
        room.add(transit, make_origin(make_node_of(number)))
    released = 0
    for number in range(20_000):
        forged = make_transit({5: 0, 7: 1}, parent_id=(1 << 32 | number).to_bytes(8, "big"), seq=number)
        room.add(with_client(forged, number % 3), make_origin(NODE_2))
        while room.store.is_over_full:
            released += room.store.evict()
    assert room.store.count <= 1_000
    assert released == 20_023 - room.store.count
    assert [room.take(TRACE_ID + transit.context.parent_id) for transit in honest] == [[t] for t in honest]


def make_node_of(number: int) -> NodeIdentity:
    """Return one of many nodes."""
    return NodeIdentity(f"honest-{number}", "", "", "boot")


def with_client(transit: Transit, number: int) -> Transit:
    """Return a transit of another pod."""
    address = bytes(10) + b"\xff\xff" + ip_address(f"10.244.9.{number}").packed
    values = {name: getattr(transit, name) for name in transit.__struct_fields__}
    return Transit(**{**values, "client_address": address})


def test_bytes_are_bounded_and_counted_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only their number: transits with many stamps take more, and so do nodes with long names."""
    monkeypatch.setattr(waiting, "MAX_TRANSIT_BYTES", 20_000)
    room = Room()
    released = 0
    for number in range(230):
        name = f"{'n' * (number % 250)}{number % 7}"
        transit = make_transit({1: 0, 2: 1, 7: 2, 8: 3}, parent_id=(number // 2 + 1).to_bytes(8, "big"), seq=number)
        room.add(transit, make_origin(NodeIdentity(name, name, name, name)))
        while room.store.is_over_full:
            released += room.store.evict()
        assert room.store.size_bytes <= 20_000
    assert released == 230 - room.store.count
    assert room.store.clear() == 230 - released
    assert room.is_empty()
