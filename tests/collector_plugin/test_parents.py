"""The memory of application spans: found, replaced, grown old, pushed out."""

import pytest

from collector_plugin.parents import GENERATIONS, SPAN_BYTES, Parent, ParentStore
from collector_plugin.span_walk import SPAN_KIND_CLIENT

SECOND = 10**9
SERVER_KIND = 2
KEY = b"t" * 16 + b"s" * 8


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
    assert store.find(KEY) == Parent(b"resource", 3, 2**64 - 1)
    assert store.find(make_key(1)) is None
    assert store.count == 1


def test_span_seen_again_replaces_the_former(store: ParentStore) -> None:
    """The last of several equal ids counts, across generations too."""
    for now_s, start_ns in ((0, 1), (0, 2), (5, 3)):
        store.remember(b"r", [(KEY, SPAN_KIND_CLIENT, start_ns, 9)], now_s * SECOND)
        assert store.find(KEY) == Parent(b"r", start_ns, 9)


@pytest.mark.parametrize("gap_s", [0, 5])
@pytest.mark.parametrize("kinds", [(SPAN_KIND_CLIENT, SERVER_KIND), (SERVER_KIND, SPAN_KIND_CLIENT)])
def test_client_half_of_a_shared_id_is_preferred(store: ParentStore, kinds: tuple[int, int], gap_s: int) -> None:
    """With B3's shared ids both halves have one id, and it is the CLIENT that waited."""
    for n, kind in enumerate(kinds):
        store.remember(b"r", [(KEY, kind, kind, 9)], n * gap_s * SECOND)
    assert store.find(KEY) == Parent(b"r", SPAN_KIND_CLIENT, 9)


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
    assert store.size_bytes <= (1 << 20) + 2 * 2400
    assert store.evicted > 0
    found = store.find(make_key(1999))
    assert found is not None
    assert found.resource == make_key(1999) * 100
