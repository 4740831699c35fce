"""The memory of application spans: found, replaced, grown old, pushed out."""

import pytest

from collector_plugin import parents
from collector_plugin.network_span import NetworkSpan
from collector_plugin.parent import Parent
from collector_plugin.parents import GENERATIONS, SPAN_BYTES, ParentStore
from collector_plugin.service_name import UNKNOWN_SERVICE
from collector_plugin.span_walk import SPAN_KIND_CLIENT

SECOND = 10**9
SERVER_KIND = 2
TRACE_ID = b"t" * 16
KEY = TRACE_ID + b"s" * 8
LEFT, RIGHT = b"l" * 8, b"r" * 8
NONE = bytes(8)
PEER = b"p" * 16


def make_key(number: int) -> bytes:
    """Return a key of its own for each number."""
    return number.to_bytes(24, "big")


@pytest.fixture
def store() -> ParentStore:
    """A store with room for plenty, for 16 s."""
    return ParentStore(1 << 20, 16 * SECOND)


def test_remembered_span_is_found(store: ParentStore) -> None:
    """A span is found by its ids, with the resource that it lay on."""
    store.remember(b"resource", [(KEY, SPAN_KIND_CLIENT, 3, 2**64 - 1)], 0)
    assert store.find(KEY) == Parent(b"resource", 3, 2**64 - 1, TRACE_ID, UNKNOWN_SERVICE, waits=True)
    assert store.find(make_key(1)) is None
    assert store.count == 1


def test_span_seen_again_replaces_the_former(store: ParentStore) -> None:
    """The last of several equal ids counts, across generations too."""
    for now_s, start_ns in ((0, 1), (0, 2), (5, 3)):
        store.remember(b"r", [(KEY, SPAN_KIND_CLIENT, start_ns, 9)], now_s * SECOND)
        assert store.find(KEY) == Parent(b"r", start_ns, 9, TRACE_ID, UNKNOWN_SERVICE, waits=True)


@pytest.mark.parametrize("gap_s", [0, 5])
@pytest.mark.parametrize("kinds", [(SPAN_KIND_CLIENT, SERVER_KIND), (SERVER_KIND, SPAN_KIND_CLIENT)])
def test_client_half_of_a_shared_id_is_preferred(store: ParentStore, kinds: tuple[int, int], gap_s: int) -> None:
    """With B3's shared ids both halves have one id, and it is the CLIENT that waited."""
    for n, kind in enumerate(kinds):
        store.remember(b"r", [(KEY, kind, kind, 9)], n * gap_s * SECOND)
    assert store.find(KEY) == Parent(b"r", SPAN_KIND_CLIENT, 9, TRACE_ID, UNKNOWN_SERVICE, waits=True)


def test_old_spans_are_forgotten_and_not_counted(store: ParentStore) -> None:
    """A span is there for its time to live, and not much longer; that is no eviction."""
    store.remember(b"r", [(KEY, SPAN_KIND_CLIENT, 1, 2)], 0)
    for now_s in range(1, 16):
        store.remember(b"r", [(make_key(now_s), SPAN_KIND_CLIENT, 1, 2)], now_s * SECOND)
        assert store.find(KEY) is not None
    store.remember(b"r", [(make_key(99), SPAN_KIND_CLIENT, 1, 2)], 18 * SECOND)
    assert store.find(KEY) is None
    assert store.evicted == 0


def test_idle_store_gives_its_memory_back(store: ParentStore) -> None:
    """Without new spans the last generation goes too."""
    store.remember(b"r", [(KEY, SPAN_KIND_CLIENT, 1, 2)], 0)
    store.expire(31 * SECOND)
    assert store.find(KEY) is not None
    store.expire(32 * SECOND)
    assert (store.count, store.size_bytes) == (0, 0)


def test_full_store_pushes_out_the_oldest_and_counts() -> None:
    """Bytes are bounded: the oldest generation goes at once, and each span of it is counted."""
    room = 3200
    store = ParentStore(room * SPAN_BYTES, 1000 * SECOND)
    for number in range(5000):
        store.remember(b"r", [(make_key(number), SPAN_KIND_CLIENT, 1, 2)], 0)
        assert store.size_bytes <= room * SPAN_BYTES
    assert store.evicted + store.count == 5000
    assert store.count >= room * (GENERATIONS - 2) // GENERATIONS
    assert store.find(make_key(0)) is None
    assert store.find(make_key(4999)) is not None
    assert store.find(make_key(5000 - store.count)) is not None


def test_resources_count_as_bytes() -> None:
    """A client that sends a resource of its own with every span does not escape the bound."""
    store = ParentStore(1 << 20, 1000 * SECOND)
    for number in range(2000):
        store.remember(make_key(number) * 100, [(make_key(number), SPAN_KIND_CLIENT, 1, 2)], 0)
        assert store.size_bytes <= 1 << 20
    assert store.evicted > 0
    found = store.find(make_key(1999))
    assert found is not None
    assert found.resource == make_key(1999) * 100


def test_peers_count_as_bytes() -> None:
    """Nor does one that names a peer of its own in every span."""
    store = ParentStore(1 << 20, 1000 * SECOND)
    for number in range(0, 20_000, 100):
        keys = [make_key(number + n) for n in range(100)]
        spans = [(key, SPAN_KIND_CLIENT, 1, 2) for key in keys]
        store.remember(b"r", spans, 0, {key: key[8:] for key in keys})
        assert store.size_bytes <= 1 << 20
    assert store.evicted > 0
    found = store.find(make_key(19_999))
    assert found is not None
    assert found.peer == make_key(19_999)[8:]


def test_resource_of_many_chunks_is_counted_once() -> None:
    """A service that sends all the time does not pay for its resource again in every chunk, and gives it back."""
    store = ParentStore(1 << 20, 16 * SECOND)
    resource = b"r" * 100_000
    for now_s in range(14):
        store.remember(resource + b"", [(make_key(now_s), SPAN_KIND_CLIENT, 1, 2)], now_s * SECOND)
    assert len(resource) < store.size_bytes < 2 * len(resource) + 14 * SPAN_BYTES * parents.CHUNK_SPANS
    assert store.evicted == 0
    store.expire(1000 * SECOND)
    assert (store.count, store.size_bytes) == (0, 0)


@pytest.mark.parametrize(
    ("stored", "wanted", "is_found"),
    [
        (LEFT + RIGHT, LEFT + RIGHT, True),
        (LEFT + RIGHT, NONE + RIGHT, True),
        (NONE + RIGHT, LEFT + RIGHT, True),
        (NONE + RIGHT, NONE + RIGHT, True),
        (LEFT + RIGHT, b"x" * 8 + RIGHT, False),
        (RIGHT + LEFT, NONE + RIGHT, False),
    ],
)
def test_trace_id_of_64_bits_is_the_right_half_of_one_of_128(
    store: ParentStore,
    stored: bytes,
    wanted: bytes,
    is_found: bool,  # noqa: FBT001 - a table's column
) -> None:
    """B3 allows both widths; where one side has the right half alone, that counts, and the span's own id is told."""
    store.remember(b"r", [(stored + b"s" * 8, SPAN_KIND_CLIENT, 1, 2)], 0)
    found = store.find(wanted + b"s" * 8)
    assert (found is not None) is is_found
    assert found is None or found.trace_id == stored


def test_whole_trace_id_is_preferred_to_a_half(store: ParentStore) -> None:
    """Of two that fit the one with the very trace id counts, unless it is the other that waited."""
    client, server = SPAN_KIND_CLIENT, SERVER_KIND
    whole, half = LEFT + RIGHT + b"s" * 8, NONE + RIGHT + b"s" * 8
    for kinds, expected in (
        ((client, client), 1),
        ((client, server), 1),
        ((server, client), 2),
        ((server, server), 1),
    ):
        for order in (0, 1):
            store = ParentStore(1 << 20, 16 * SECOND)
            spans = [(whole, kinds[0], 1, 9), (half, kinds[1], 2, 9)]
            store.remember(b"r", spans[order:] + spans[:order], 0)
            found = store.find(whole)
            assert found is not None
            assert found.start_ns == expected


def test_peer_is_kept_with_the_span_that_waits(store: ParentStore) -> None:
    """Spans of one resource may name different peers, or none; the peer of a SERVER is its client."""
    keys = [make_key(number) for number in range(4)]
    kinds = [SPAN_KIND_CLIENT, SPAN_KIND_CLIENT, SPAN_KIND_CLIENT, SERVER_KIND]
    spans = [(key, kind, 1, 2) for key, kind in zip(keys, kinds, strict=True)]
    store.remember(b"r", spans, 0, {keys[1]: PEER, keys[2]: b"q" * 16, keys[3]: PEER})
    assert [parent.peer for key in keys if (parent := store.find(key))] == [b"", PEER, b"q" * 16, b""]


def test_flood_of_one_id_makes_no_look_up_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans without end that share an id, none of which waits, are not all passed."""
    monkeypatch.setattr(parents, "MAX_STEPS", 5)
    store = ParentStore(1 << 20, 16 * SECOND)
    store.remember(b"r", [(KEY, SPAN_KIND_CLIENT, 1, 2)], 0)
    for steps, expected in ((4, 1), (1, 7)):
        store.remember(b"r", [(KEY, SERVER_KIND, 7, 8)] * steps, 0)
        found = store.find(KEY)
        assert found is not None
        assert found.start_ns == expected


def test_spans_are_found_though_their_numbers_begin_anew() -> None:
    """A plugin that runs for long counts past what counts of a number: what is there is found, what went is not."""
    store = ParentStore(1 << 20, 16 * SECOND)
    chunk_spans = store._chunk_spans
    store._first = ((1 << 30) // chunk_spans) - 2
    kept = 4 * chunk_spans
    for number in range(kept):
        store.remember(b"r", [(make_key(number), SPAN_KIND_CLIENT, number, 9)], 0)
    assert store._chunks[0].first < 1 << 30 < store._chunks[-1].first
    for number in range(kept):
        found = store.find(make_key(number))
        assert found is not None
        assert found.start_ns == number
    keys = [make_key(number) for number in (1, kept)]
    spans = [NetworkSpan(key[:16], b"p" * 8, key[16:], 1, "underlay", 1, 2, 1, ()) for key in keys]
    assert store.list_known(bytes(16), spans) == [make_key(1)[16:]]
    for now_s in (15, 20, 40):
        store.remember(b"r", [(KEY, SPAN_KIND_CLIENT, 1, 2)], now_s * SECOND)
    assert not any(store.find(make_key(number)) for number in range(kept))
    assert store.find(KEY) is not None
