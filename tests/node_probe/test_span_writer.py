"""Spans straight from the kernel's bytes, beside what the object codecs and the protobuf library make of the same."""

from collections.abc import Mapping, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_probe import span_writer as span_writer_module
from node_probe.context import ContextError
from node_probe.interfaces import POD_BIT, identify_interfaces
from node_probe.kernel_record import KernelRecordError, decode_kernel_record
from node_probe.request_writer import RequestWriter
from node_probe.span_writer import SpanBatch, SpanWriter, Written
from node_probe.transit import NodeIdentity, Transit
from node_probe.wire_batch import TransitBatch, decode_batch
from tests.golden_files import list_stories, read_story
from tests.node_probe.batch_reference import encode_batch
from tests.node_probe.coded_contexts import encode
from tests.node_probe.records import TRACEPARENT, make_context, make_record
from tests.node_probe.resource_spans import read_resource_spans

NODE = NodeIdentity("nöde-1", "4d3c", "worker-a", "b1f0c0de-0000-4000-8000-000000000001")
OFFSET_NS = 1_700_000_000_000_000_000
HOSTS: Mapping[int, Sequence[int]] = {2: (5, 6), 3: (7,)}
NAMES = {2: "eth0", 5: "veth1", 7: "flannel.1", POD_BIT | 5: "eth0", POD_BIT | 7: "eth1"}

# Few numbers, so that pods share indexes and stamps share times.
IFINDEXES = st.lists(st.integers(0, 8) | st.integers(0, POD_BIT - 1), min_size=8, max_size=8)
TIMES = st.lists(st.integers(0, 3) | st.integers(0, 1 << 62), min_size=8, max_size=8)
TEXTS = (
    st.from_regex(rb"\A0[01]-[0-9a-f]{32}-[0-9a-f]{16}-0[0-9a-f](\r\n|-x| ;|\Z)", fullmatch=True)
    | st.just(TRACEPARENT[:-2] + b"00")
    | st.sampled_from(["01", "02"]).map(lambda flags: encode(f"00-{'0af76519' * 4}-b7ad6b7169203331-{flags}"))
    | st.binary(max_size=64)
)
CONTEXTS = st.builds(
    lambda text, kind, stream_id: make_context(text, format=kind[0], coding=kind[1], stream_id=stream_id),
    TEXTS,
    st.sampled_from([(1, 0)] * 4 + [(1, 1)] * 3 + [(2, 0), (3, 1)]),
    st.integers(0, (1 << 32) - 1),
)
RECORDS = st.builds(
    lambda context, fields: make_record(context, **fields),
    CONTEXTS,
    st.fixed_dictionaries(
        {
            "direction": st.integers(0, 1),
            "seen": st.integers(0, 255),
            "flags": st.integers(0, 15),
            "tunnel": st.integers(0, 4),
            "monotonic_ns": TIMES,
            "ifindex": IFINDEXES,
        }
        | {name: st.integers(0, (1 << 16) - 1) for name in ("client_port", "server_port", "reserved")}
        | {name: st.integers(0, (1 << 32) - 1) for name in ("seq", "tsval", "vni")}
        | {
            name: st.binary(min_size=16, max_size=16)
            for name in ("client_address", "server_address", "outer_source", "outer_destination")
        }
    ),
)


def write(*records: bytes, hosts: Mapping[int, Sequence[int]] = HOSTS) -> Written:
    writer = SpanWriter(NODE.name)
    writer.use_hosts(hosts)
    return writer.write(records, OFFSET_NS)


def send(*batches: SpanBatch) -> bytes:
    return RequestWriter(NODE, "0.1.0").write(batches, OFFSET_NS, NAMES)


def read_back(written: Written) -> tuple[Transit, ...]:
    assert written.batch is not None
    batch = decode_batch(read_resource_spans(send(written.batch)))
    assert not batch.rejected
    return batch.transits


def decode_by_objects(records: Sequence[bytes]) -> tuple[list[Transit], int, int, int]:
    """Return transits, bad contexts, those not sampled, and bad records: the second opinion."""
    transits: list[Transit] = []
    bad_contexts = unsampled = bad_records = 0
    for data in records:
        try:
            transit = decode_kernel_record(data)
        except KernelRecordError:
            bad_records += 1
        except ContextError:
            bad_contexts += 1
        else:
            unsampled += transit is None
            transits += [name_interfaces(transit)] if transit else []
    return transits, bad_contexts, unsampled, bad_records


def name_interfaces(transit: Transit) -> Transit:
    unique = identify_interfaces({stamp.point: stamp.ifindex for stamp in transit.stamps}, HOSTS)
    stamps = [msgspec.structs.replace(stamp, ifindex=unique[stamp.point]) for stamp in transit.stamps]
    return msgspec.structs.replace(transit, stamps=tuple(stamps))


@given(st.lists(RECORDS, max_size=5))
def test_bytes_are_those_of_the_protobuf_library(records: list[bytes]) -> None:
    """For any records: the same request to the byte, and the same counts of what could not be read."""
    transits, *counts = decode_by_objects(records)
    written = write(*records)
    assert [written.bad_contexts, written.unsampled, len(written.bad_records)] == counts
    assert (written.batch.count if written.batch else 0) == len(transits)
    expected = encode_batch(TransitBatch(NODE, OFFSET_NS, NAMES, tuple(transits)), "0.1.0")
    assert send(*[written.batch] if written.batch else []) == expected


@pytest.mark.parametrize("story", list_stories("records"))
def test_golden_kernel_record(story: str) -> None:
    """A golden record becomes the span of its transit, or is refused for the reason in the file."""
    data, expected = read_story("records", story)
    written = write(data)
    if "error" in expected:
        assert written.batch is None
        assert [expected["error"] in str(error) for error in written.bad_records] == [True]
        return
    assert written.bad_contexts == ("bad_context" in expected)
    transit = expected.get("transit")
    assert written.unsampled == (not transit and not written.bad_contexts)
    found = read_back(written) if written.batch else ()
    assert [t.context.parent_id.hex() for t in found] == ([transit["parent_id"]] if transit else [])
    assert [[s.point, s.monotonic_ns] for t in found for s in t.stamps] == [
        [point, ns] for point, _, ns in (transit["stamps"] if transit else [])
    ]


@given(st.lists(st.binary(max_size=600) | st.binary(min_size=256, max_size=256).map(lambda b: b"\1\0" + b[2:])))
def test_any_bytes_are_counted(records: list[bytes]) -> None:
    """Whatever the ring holds, each record is written or counted, and none takes another with it."""
    written = write(make_record(), *records, make_record())
    transits, *counts = decode_by_objects(records)
    assert [written.bad_contexts, written.unsampled, len(written.bad_records)] == counts
    assert written.batch is not None
    assert written.batch.count == 2 + len(transits)


def test_record_of_another_length_is_refused() -> None:
    """A record that is cut anywhere is a bad one, and so is one with something behind it; those beside it stay."""
    record = make_record()
    others = [record[:length] for length in range(len(record))] + [record + b"\0", record + make_context()]
    written = write(record, *others, record)
    assert written.batch is not None
    assert written.batch.count == 2
    assert [str(error) for error in written.bad_records] == [
        f"record has {len(other)} bytes instead of {len(record)}" for other in others
    ]


def test_time_that_no_span_can_bear() -> None:
    """A stamp beyond what 64 bits hold is that record's fault alone."""
    written = write(make_record(monotonic_ns=[(1 << 64) - 1] * 8), make_record())
    assert [str(error) for error in written.bad_records] == ["a stamp lies beyond what 64 bits of epoch time hold"]
    assert len(read_back(written)) == 1


def test_pods_that_change_hands() -> None:
    """The index of a pod's device means another device once the pods have changed."""
    alone = make_record(seen=1, ifindex=[2] * 8)
    writer = SpanWriter(NODE.name)
    found = []
    for hosts in ({}, {2: (5,)}, {2: (5, 6)}, {2: (6,)}):
        writer.use_hosts(hosts)
        batch = writer.write([alone], OFFSET_NS).batch
        assert batch is not None
        found.append(batch.ifindexes)
    assert found == [{0}, {POD_BIT | 5}, {0}, {POD_BIT | 6}]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records of more kinds and places than are remembered are written as ever."""
    monkeypatch.setattr(span_writer_module, "MAX_LAYOUTS", 3)
    monkeypatch.setattr(span_writer_module, "MAX_PLACES", 3)
    records = [make_record(flags=n % 7, ifindex=range(n % 5, n % 5 + 8)) for n in range(100)]
    writer = SpanWriter(NODE.name)
    writer.use_hosts(HOSTS)
    assert writer.write(records, OFFSET_NS).batch == SpanBatch(
        b"".join(batch.spans for record in records if (batch := write(record).batch)),
        len(records),
        frozenset().union(*(batch.ifindexes for record in records if (batch := write(record).batch))),
    )
    assert len(writer._layouts) <= 3
    assert all(len(layout.places) <= 3 for layout in writer._layouts.values())
