"""The distributions of hop durations: counted by bucket, and bounded in number without loss."""

import msgspec
import pytest

from collector_plugin import hop_durations
from collector_plugin.hop_durations import IDLE_NS, OTHER, RETRY_NS, Example, HopDurations, SeriesKey
from collector_plugin.hop_templates import HopTemplate
from collector_plugin.hops import give_account, list_hops
from collector_plugin.parent import Parent
from hopspan.hop_bounds import BOUNDS_NS
from tests.collector_plugin.builders import NODE_1, make_half, make_transit

TRACE_ID = b"t" * 16
((_, _, TEMPLATE, ACCOUNT),) = list_hops(give_account(make_half(NODE_1, make_transit({1: 0, 2: 1})), 0))
KEY: SeriesKey = ("underlay", "request", "node-1", "node-2", "frontend")


def make_template(key: SeriesKey) -> HopTemplate:
    """Return the template of hops with these labels."""
    name, direction, node, to_node, _ = key
    return msgspec.structs.replace(TEMPLATE, name=name, direction=direction, node=node, to_node=to_node)


def observe(
    durations: HopDurations, key: SeriesKey, example: Example, now_ns: int, template: HopTemplate | None = None
) -> None:
    """Count a hop with these labels; its template is a new one unless it is given."""
    duration_ns, stop_ns, trace_id = example
    parent = Parent(b"", 0, 0, trace_id, key[-1])
    durations.observe([(stop_ns - duration_ns, stop_ns, template or make_template(key), ACCOUNT)], parent, now_ns)


def make_key(number: int, hop: str = "underlay") -> SeriesKey:
    """Return the labels of one of many pairs of nodes."""
    return (hop, "request", f"node-{number}", "node-x", "frontend")


@pytest.mark.parametrize(
    ("duration_ns", "bucket"),
    [(0, 0), (500, 0), (501, 1), (1_000, 1), (10**9, len(BOUNDS_NS) - 1), (10**9 + 1, len(BOUNDS_NS))],
)
def test_bound_belongs_to_its_bucket(duration_ns: int, bucket: int) -> None:
    """Bounds are inclusive, as OpenMetrics has it; what is longer than the last has a bucket of its own."""
    durations = HopDurations()
    observe(durations, KEY, (duration_ns, 77, TRACE_ID), 0)
    ((key, series),) = durations.read()
    assert key == KEY
    assert [at for at, number in enumerate(series.counts) if number] == [bucket]
    assert series.examples[bucket] == (duration_ns, 77, TRACE_ID)
    assert series.sum_ns == duration_ns


def test_newest_example_of_a_bucket_stays() -> None:
    """A trace of long ago may be gone from the backend."""
    durations = HopDurations()
    for epoch_ns in (1, 2):
        observe(durations, KEY, (700, epoch_ns, TRACE_ID), 0)
    ((_, series),) = durations.read()
    assert series.examples[1] == (700, 2, TRACE_ID)
    assert (sum(series.counts), series.sum_ns) == (2, 1400)


def test_what_was_read_moves_no_more() -> None:
    """A page is written while hops are counted."""
    durations = HopDurations()
    observe(durations, KEY, (700, 1, TRACE_ID), 0)
    ((_, series),) = durations.read()
    observe(durations, KEY, (700, 2, TRACE_ID), 0)
    assert (sum(series.counts), series.examples[1]) == (1, (700, 1, TRACE_ID))


def test_combinations_beyond_the_bound_are_counted_as_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """No hop is missing from the sums by hop and direction."""
    monkeypatch.setattr(hop_durations, "MAX_SERIES", 3)
    durations = HopDurations()
    for number in range(23):
        observe(durations, make_key(number), (700, 1, TRACE_ID), 0)
    observe(durations, make_key(99, "vxlan-encap"), (700, 1, TRACE_ID), 0)
    found = {key: sum(series.counts) for key, series in durations.read()}
    assert found == {
        make_key(0): 1,
        make_key(1): 1,
        make_key(2): 1,
        ("underlay", "request", OTHER, OTHER, OTHER): 20,
        ("vxlan-encap", "request", OTHER, OTHER, OTHER): 1,
    }


def test_idle_combination_gives_its_place_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes come and go: after an hour without a hop the place is free, if another wants it."""
    monkeypatch.setattr(hop_durations, "MAX_SERIES", 2)
    durations = HopDurations()
    observe(durations, make_key(1), (700, 1, TRACE_ID), 0)
    observe(durations, make_key(2), (700, 1, TRACE_ID), RETRY_NS)
    observe(durations, make_key(3), (700, 1, TRACE_ID), IDLE_NS - 1)
    assert durations.forgotten == 0
    # Looked for again no sooner than a while later, though it is idle now.
    observe(durations, make_key(3), (700, 1, TRACE_ID), IDLE_NS)
    assert durations.forgotten == 0
    observe(durations, make_key(3), (700, 1, TRACE_ID), IDLE_NS + RETRY_NS - 1)
    assert durations.forgotten == 1
    assert make_key(1) not in dict(durations.read())
    assert sum(dict(durations.read())[make_key(3)].counts) == 1


def test_hops_of_one_template_are_told_apart_by_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which combination a template belongs to is looked up once, for each service anew, and again when forgotten."""
    monkeypatch.setattr(hop_durations, "MAX_KNOWN", 3)
    durations = HopDurations()
    keys: list[SeriesKey] = [(*KEY[:-1], f"service-{number}") for number in range(5)]
    template = make_template(KEY)
    for _ in range(23):
        for key in keys:
            observe(durations, key, (700, 1, TRACE_ID), 0, template)
    assert {key: sum(series.counts) for key, series in durations.read()} == dict.fromkeys(keys, 23)


def test_hop_of_a_combination_that_gave_its_place_away_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its template is looked up again: it gets a place anew, or is counted as other."""
    monkeypatch.setattr(hop_durations, "MAX_SERIES", 2)
    durations = HopDurations()
    templates = [make_template(make_key(number)) for number in range(4)]
    for number, now_ns in ((0, 0), (1, IDLE_NS), (2, IDLE_NS), (0, IDLE_NS + 1), (3, IDLE_NS + 2)):
        observe(durations, make_key(number), (700, 1, TRACE_ID), now_ns, templates[number])
    assert durations.forgotten == 1
    found = {key: sum(series.counts) for key, series in durations.read()}
    assert found == {make_key(1): 1, make_key(2): 1, ("underlay", "request", OTHER, OTHER, OTHER): 2}
