"""Caps by trace and by parent."""

import pytest

from collector_plugin import caps
from collector_plugin.caps import MAX_PER_PARENT, SpanCaps
from collector_plugin.reasons import HopReason

SECOND = 10**9
TRACE = b"t" * 16


def admit(table: SpanCaps, key: bytes, now_ns: int = 0) -> HopReason | None:
    """Ask for one span; return why it may not be."""
    admitted, reason = table.admit(key, 1, now_ns)
    return None if admitted else reason


def make_key(number: int) -> bytes:
    """Return a parent of the one trace."""
    return TRACE + number.to_bytes(8, "big")


def test_trace_has_its_cap() -> None:
    """Spans of all parents of a trace count together; other traces have their own count."""
    table = SpanCaps(3, 60 * SECOND)
    assert [admit(table, make_key(n), 0) for n in range(5)] == [None] * 3 + [HopReason.TRACE_CAP] * 2
    assert admit(table, b"u" * 24, 0) is None


def test_parent_has_its_cap() -> None:
    """One parent cannot take the whole of its trace."""
    table = SpanCaps(10**6, 60 * SECOND)
    results = [admit(table, make_key(1), 0) for _ in range(MAX_PER_PARENT + 1)]
    assert results == [None] * MAX_PER_PARENT + [HopReason.PARENT_CAP]
    assert admit(table, make_key(2), 0) is None


def test_count_lasts_at_least_a_window() -> None:
    """A cap holds while its trace is busy, and is lifted once it was idle for two windows."""
    table = SpanCaps(1, 10 * SECOND)
    assert admit(table, make_key(1), 0) is None
    for now_s in (5, 11, 19, 25):
        assert admit(table, make_key(1), now_s * SECOND) is HopReason.TRACE_CAP
    assert admit(table, b"u" * 24, 36 * SECOND) is None
    assert admit(table, b"v" * 24, 47 * SECOND) is None
    assert admit(table, make_key(1), 48 * SECOND) is None


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Traces without end do not fill the memory; the idle ones are forgotten early."""
    monkeypatch.setattr(caps, "MAX_ENTRIES", 23)
    table = SpanCaps(1, 60 * SECOND)
    assert admit(table, TRACE + bytes(8), 0) is None
    for number in range(22):
        admit(table, number.to_bytes(16, "big") + bytes(8), 0)
    assert admit(table, TRACE + bytes(8), 0) is HopReason.TRACE_CAP
    for number in range(100, 150):
        admit(table, number.to_bytes(16, "big") + bytes(8), 0)
    assert admit(table, TRACE + bytes(8), 0) is None


def test_several_are_admitted_as_far_as_there_is_room() -> None:
    """A message asks for all its hops at once; the first come in, and the reason is that of the tighter cap."""
    table = SpanCaps(MAX_PER_PARENT + 5, 60 * SECOND)
    assert table.admit(make_key(1), MAX_PER_PARENT - 2, 0)[0] == MAX_PER_PARENT - 2
    assert table.admit(make_key(1), 7, 0) == (2, HopReason.PARENT_CAP)
    assert table.admit(make_key(2), 7, 0) == (5, HopReason.TRACE_CAP)
    assert table.admit(make_key(3), 7, 0) == (0, HopReason.TRACE_CAP)
