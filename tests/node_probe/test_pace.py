"""When it is planned anew: the story of a node that changes, rests, and fails."""

from node_probe.pace import FIRST_RETRY_NS, MAX_REST_NS, MAX_RETRY_NS, REST_PER_WORK, Pace

MS = 1_000_000


def test_nothing_is_planned_without_a_cause() -> None:
    """Neither a new pace nor one whose last plan went well is ever due."""
    pace = Pace()
    assert not pace.is_due(10**18)
    pace.note_plan(0, MS, failures=0)
    assert not pace.is_due(10**18)


def test_change_is_planned_at_once_and_only_once() -> None:
    """After a quiet time there is nothing to wait for."""
    pace = Pace()
    pace.note_plan(0, MS, failures=0)
    pace.note_change()
    assert pace.is_due(100 * MS)
    pace.note_plan(100 * MS, 101 * MS, failures=0)
    assert not pace.is_due(10**18)


def test_node_that_changes_without_end_leaves_time_for_the_ring() -> None:
    """The next plan comes when four times as long as the last took has passed, but within half a second."""
    pace = Pace()
    for took_ns, rest_ns in ((10 * MS, REST_PER_WORK * 10 * MS), (10_000 * MS, MAX_REST_NS)):
        pace.note_plan(0, took_ns, failures=0)
        pace.note_change()
        assert not pace.is_due(took_ns + rest_ns - 1)
        assert pace.is_due(took_ns + rest_ns)


def test_failure_is_tried_again_ever_more_rarely() -> None:
    """After one second, two, four and so on, until it goes well."""
    pace = Pace()
    now_ns, wait_ns = 0, FIRST_RETRY_NS
    for _ in range(10):
        pace.note_plan(now_ns, now_ns, failures=3)
        assert not pace.is_due(now_ns + wait_ns - 1)
        assert pace.is_due(now_ns + wait_ns)
        now_ns += wait_ns
        wait_ns = min(2 * wait_ns, MAX_RETRY_NS)
    pace.note_plan(now_ns, now_ns, failures=0)
    assert not pace.is_due(10**18)


def test_change_makes_retries_frequent_again() -> None:
    """A device that just came may fail at first for want of a namespace; it has not to wait for older failures."""
    pace = Pace()
    for _ in range(10):
        pace.note_plan(0, 0, failures=1)
    assert not pace.is_due(FIRST_RETRY_NS)
    pace.note_change()
    pace.note_plan(0, 0, failures=2)
    assert pace.is_due(FIRST_RETRY_NS)
