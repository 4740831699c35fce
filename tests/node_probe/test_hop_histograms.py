"""The histograms of the metrics page against counting each hop of each decoded transit."""

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopspan.hop_bounds import BOUNDS_NS
from node_probe import hop_histograms
from node_probe.hop_histograms import Distribution, HopHistograms, HopName
from node_probe.hop_names import name_hop
from tests.node_probe.coded_contexts import encode
from tests.node_probe.records import TRACEPARENT, make_context, make_record, read_transit

REQUEST_HOPS = [("veth-hop", "request"), ("host-forward", "request"), ("vxlan-encap", "request")]
TRACE_ID = bytes.fromhex(TRACEPARENT[3:35].decode())


def observe(*records: bytes, epoch_offset_ns: int = 0) -> dict[HopName, Distribution]:
    histograms = HopHistograms()
    histograms.observe(records, epoch_offset_ns)
    return histograms.read()


def find_index(duration_ns: int) -> int:
    return next((at for at, bound_ns in enumerate(BOUNDS_NS) if duration_ns <= bound_ns), len(BOUNDS_NS))


gaps = st.sampled_from([0, 1, 499, 500, 501, 999, 1000, 1001, 3000, 10**9, 10**9 + 1])
records = st.builds(
    lambda seen, direction, tunnel, flags, first_ns, steps: make_record(
        seen=seen,
        direction=direction,
        tunnel=tunnel,
        flags=flags,
        monotonic_ns=[first_ns + sum(steps[:at]) for at in range(8)],
    ),
    seen=st.integers(1, 255),
    direction=st.integers(0, 1),
    tunnel=st.integers(0, 3),
    flags=st.integers(0, 1),
    first_ns=st.integers(10**12, 10**15),
    steps=st.lists(gaps | st.integers(-5000, 10**6), min_size=8, max_size=8),
)


@given(st.lists(st.lists(records, max_size=12), max_size=4))
def test_counts_are_those_of_the_decoded_transits(readings: list[list[bytes]]) -> None:
    """Counts by bucket, and sums, are those of a plain count, in whatever order a packet met its points."""
    histograms = HopHistograms()
    counts: Counter[tuple[HopName, int]] = Counter()
    sums: Counter[HopName] = Counter()
    for reading in readings:
        histograms.observe(reading, 0)
        for transit in map(read_transit, reading):
            for start, stop in itertools.pairwise(transit.stamps):
                hop = name_hop(start.point, stop.point, transit.tunnel)[0], transit.direction.label
                duration_ns = stop.monotonic_ns - start.monotonic_ns
                counts[hop, find_index(duration_ns)] += 1
                sums[hop] += duration_ns
    found = histograms.read()
    assert {hop: list(each.counts) for hop, each in found.items()} == {
        hop: [counts[hop, at] for at in range(len(BOUNDS_NS) + 1)] for hop in sums
    }
    assert {hop: each.sum_ns for hop, each in found.items()} == sums
    for each in found.values():
        for at, example in enumerate(each.examples):
            assert example is None or (find_index(example.duration_ns) == at and each.counts[at])


def test_bound_belongs_to_its_bucket() -> None:
    """As OpenMetrics has it: `le` is less than or equal."""
    found = observe(*(make_record(seen=0b11, monotonic_ns=[1000, 1000 + at_ns, *[0] * 6]) for at_ns in (1000, 1001)))
    counts = found[REQUEST_HOPS[0]].counts
    assert counts[BOUNDS_NS.index(1000)] == counts[BOUNDS_NS.index(2000)] == 1
    assert sum(counts) == 2


def test_example_is_the_slowest_of_its_reading() -> None:
    """Its record, from which the trace id is read later, and the time at which it ended."""
    slow = make_record(seen=0b11, monotonic_ns=[10, 900_010, *[0] * 6])
    quick = make_record(make_context(b"00-?"), seen=0b11, monotonic_ns=[10, 710_010, *[0] * 6])
    (example,) = [
        each for each in observe(quick, slow, quick, epoch_offset_ns=5)[REQUEST_HOPS[0]].examples if each is not None
    ]
    assert (example.duration_ns, example.epoch_ns, example.record) == (900_000, 900_015, slow)
    assert example.read_trace_id() == TRACE_ID


@pytest.mark.parametrize(
    ("context", "trace_id"),
    [
        (make_context(encode(TRACEPARENT.decode()), coding=1, stream_id=7), TRACE_ID),
        (make_context(encode(TRACEPARENT.decode()[:-1] + "2"), coding=1, stream_id=7), None),
        (make_context(b"00-?\xff\n"), None),
    ],
)
def test_example_names_its_trace_if_the_context_is_valid_and_sampled(context: bytes, trace_id: bytes | None) -> None:
    """What is no trace id never gets onto the page, nor that of a trace which no backend has."""
    (example,) = [each for each in observe(make_record(context, seen=0b11))[REQUEST_HOPS[0]].examples if each]
    assert example.read_trace_id() == trace_id


@pytest.mark.parametrize(
    "record",
    [
        b"",
        make_record()[:5],
        make_record()[:100],
        make_record() + make_context(),
        make_record(context_count=2),
        make_record(version=99),
        make_record(seen=0),
        make_record(direction=2),
    ],
    ids=["empty", "short kind", "short", "long", "two contexts", "version", "no stamp", "direction"],
)
def test_what_is_no_record_is_left_out(record: bytes) -> None:
    """It is counted elsewhere, and takes nothing of another kind with it."""
    good = make_record(direction=1, tunnel=1)
    assert observe(record, good, record) == observe(good)
    assert sum(observe(record, good)["vxlan-encap", "response"].counts) == 1


def test_single_stamp_is_no_hop() -> None:
    """A transit that met one point measured nothing."""
    assert observe(make_record(seen=0b100)) == {}


def test_packet_counts_once_for_each_of_its_requests() -> None:
    """Of a segment with two HTTP/2 requests there are two records, which differ in context and sequence number."""
    found = observe(*(make_record(make_context(stream_id=stream), tunnel=1, seq=stream) for stream in (1, 3)))
    assert {hop: sum(each.counts) for hop, each in found.items()} == dict.fromkeys(REQUEST_HOPS, 2)


def test_kinds_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """More kinds of records than are remembered cost memory of none, and every record still counts."""
    monkeypatch.setattr(hop_histograms, "MAX_KINDS", 3)
    histograms = HopHistograms()
    histograms.observe([make_record(seen=seen, flags=flags) for seen in range(256) for flags in range(2)], 0)
    assert len(histograms._kinds) <= 3
    expected = 2 * sum(seen.bit_count() - 1 for seen in range(1, 256))
    assert sum(sum(each.counts) for each in histograms.read().values()) == expected
