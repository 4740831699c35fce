"""What a parent and a transit take in memory. The figures are printed; a test fails where they are far off."""

import pytest

from node_probe.wire_batch import NodeIdentity
from testbed.join_load import NODES, STRANGERS
from tests.collector_plugin.join_memory import (
    keep_messages,
    keep_parents,
    keep_waiting,
    measure,
)

MANY = 20_000


def report(what: str, size: int, count: int) -> float:
    """Print and return the bytes of each."""
    print(f"{what}: {size / count:.0f} bytes")  # noqa: T201 - the figure of docs/join.md
    return size / count


def test_parent_takes_little() -> None:
    """The aim is 120 bytes, with the hash table, whose size does not depend on their number."""
    empty = measure(lambda: keep_parents(0))
    assert report("parent", measure(lambda: keep_parents(MANY)) - empty, MANY) < 240
    store = keep_parents(MANY)
    assert store.size_bytes / MANY < 240


def test_waiting_transit_takes_little() -> None:
    """The aim is 400 bytes, also where each has another parent."""
    size = measure(lambda: keep_waiting(MANY))
    assert report("waiting transit", size, MANY) < 800
    # What bounds them is the estimate: it must not be far below what they take.
    assert 0.9 * size < keep_waiting(MANY).size_bytes < 1.5 * size


@pytest.mark.parametrize(
    ("what", "far_nodes", "limit"),
    [("settling", None, 2_000), ("held for a clock", STRANGERS, 3_000), ("remembered", NODES, 1_600)],
)
def test_message_with_its_parent_takes_some_more(what: str, far_nodes: list[NodeIdentity] | None, limit: int) -> None:
    """They wait for seconds, not for a window; and what is remembered is bounded by number."""
    count = 4_000
    parents = (
        measure(lambda: keep_messages(0)) + measure(lambda: keep_parents(count)) - measure(lambda: keep_parents(0))
    )
    size = measure(lambda: keep_messages(count, far_nodes)) - parents
    assert report(f"message {what}", size, count) < limit
    if far_nodes is None:
        # The caps' counts, which are bounded apart, are in the measure and not in the estimate.
        assert 0.7 * size < keep_messages(count).messages.waiting_bytes < 1.5 * size
