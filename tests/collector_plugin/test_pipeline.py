"""The pipeline: application spans at once and as they came, network spans after, whatever the join does."""

from collections.abc import Iterator

import pytest

from collector_plugin import arrivals
from collector_plugin.arrivals import Arrival
from collector_plugin.otlp_walk import TooManySpansError
from collector_plugin.reasons import TransitReason
from hopspan.export_errors import ExportResult, PermanentExportError, RetryableExportError
from hopspan.protowire import WireError
from tests.collector_plugin.builders import (
    NODE_1,
    list_spans,
    make_decoded_batch,
    make_request,
    make_resource_spans,
    make_span,
    make_transit,
)
from tests.collector_plugin.gated_exporter import DEADLINE_S, wait_until
from tests.collector_plugin.pipeline_bench import FAR, NEAR, SPANS, Bench
from tests.node_probe.batch_reference import encode_batch


@pytest.fixture(params=[True, False], ids=["waits", "begins"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A pipeline, and no thread left behind."""
    bench = Bench(waits=request.param)
    yield bench
    bench.close()


def test_application_spans_are_passed_on_as_they_came(bench: Bench) -> None:
    """The first exporter has them when the client is answered, the other soon after; both byte for byte."""
    assert bench.accept(SPANS) == ExportResult()
    assert bench.first.requests == [SPANS]
    wait_until(lambda: bench.second.requests == [SPANS])


def test_what_comes_meanwhile_holds_nothing_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """However fast clients bring spans while the join takes in theirs, a tick ends, and sends what is due."""
    bench.accept(NEAR + SPANS)
    bench.accept(FAR)
    pop = bench.pipeline.arrivals.pop
    brought = iter(range(100))

    def pop_while_others_bring() -> Arrival | None:
        for _ in brought:
            bench.accept(SPANS)
            break
        return pop()

    monkeypatch.setattr(bench.pipeline.arrivals, "pop", pop_while_others_bring)
    bench.pipeline.tick(0)
    assert bench.pipeline.arrivals.count == 2
    wait_until(lambda: "underlay" in {span.name for span in list_spans(list(bench.second.requests))})


def test_network_spans_follow_at_the_next_tick(bench: Bench) -> None:
    """Every exporter gets them, on the parent's resource, with the scope's version."""
    bench.accept(NEAR + SPANS)
    bench.accept(FAR)
    assert bench.first.requests == [SPANS]
    bench.pipeline.tick(0)
    for exporter in (bench.first, bench.second):
        wait_until(lambda exporter=exporter: len(exporter.requests) == 2)  # type: ignore[misc]  # bound at once
        # The other exporter's copies go through a queue of their own, so either may come first.
        spans = list_spans([request for request in exporter.requests if request != SPANS])
        assert [span.name for span in spans] == ["host-forward", "vxlan-encap", "underlay", "vxlan-decap"]
        assert {span.parent_span_id for span in spans} == {make_span().span_id}
    assert b"9.9" in bench.first.requests[1]


def test_transits_alone_are_acknowledged_into_memory(bench: Bench) -> None:
    """A probe does not wait for any exporter."""
    bench.first.failures = [RetryableExportError("UNAVAILABLE", "away")]
    assert bench.accept(NEAR) == ExportResult()
    assert bench.take_in().received == 1
    assert bench.first.requests == []


def test_empty_request_is_success(bench: Bench) -> None:
    """OTLP has it so; nothing is sent for it."""
    assert bench.accept(b"") == ExportResult()
    assert bench.first.requests == []


def test_parents_are_remembered_though_the_export_failed(bench: Bench) -> None:
    """The client will send them again; their transits need not wait for that. No copy is made of what comes again."""
    bench.first.failures = [RetryableExportError("UNAVAILABLE", "away")]
    with pytest.raises(RetryableExportError):
        bench.accept(SPANS)
    assert bench.take_in().parents.count == 1
    bench.accept(SPANS)
    wait_until(lambda: bench.second.requests == [SPANS])
    assert {str(key): number for key, number in bench.pipeline.outcomes.read().items()} == {
        "accepted": 1,
        "refused": 1,
    }


def test_other_exporters_get_what_the_first_refuses_for_good(bench: Bench) -> None:
    """The client will not come again, and the others have a judgement of their own."""
    bench.first.failures = [PermanentExportError("INVALID_ARGUMENT", "no")]
    with pytest.raises(PermanentExportError):
        bench.accept(SPANS)
    wait_until(lambda: bench.second.requests == [SPANS])


def test_stalled_second_exporter_delays_nobody(bench: Bench) -> None:
    """Its spans wait in a queue of their own."""
    bench.second.gate.clear()
    for _ in range(3):
        bench.accept(SPANS)
    assert bench.first.requests == [SPANS] * 3
    bench.second.gate.set()
    wait_until(lambda: b"".join(bench.second.requests) == SPANS * 3)


def test_unreadable_batch_is_a_partial_success(bench: Bench) -> None:
    """A probe is told how many transits could not be read and why, and need not send them again."""
    anonymous = make_decoded_batch(type(NODE_1)("", "", "", ""), make_transit({2: 0}), make_transit({2: 1}))
    result = bench.accept(encode_batch(anonymous, "1"))
    assert result.rejected_spans == 2
    assert "hopspan.node is missing" in result.message
    assert bench.take_in().released[TransitReason.MALFORMED] == 2
    assert bench.read_log()[0]["message"] == "transits could not be read"


@pytest.mark.parametrize("data", [b"\x0a\x05abc", b"\xff"])
def test_malformed_request_is_refused_before_anything_is_kept(bench: Bench, data: bytes) -> None:
    """Nothing of it reaches the join or an exporter."""
    with pytest.raises(WireError):
        bench.accept(SPANS + data)
    assert bench.take_in().parents.count == 0
    assert bench.first.requests == []


def test_flood_of_empty_spans_is_refused(bench: Bench) -> None:
    """Two bytes a span on the wire: the number is bounded, not only the bytes."""
    flood = make_request(make_resource_spans([])) + b"\x0a\x84\xb5\x18" + b"\x12\x80\xb5\x18" + b"\x12\x00" * 200_000
    with pytest.raises((TooManySpansError, WireError)) as caught:
        bench.accept(flood)
    assert isinstance(caught.value, TooManySpansError)


def test_fault_in_the_join_costs_no_application_span(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever becomes of the join, application spans are delivered; the fault is logged."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(bench.join, "add_parents", fail)
    assert bench.accept(SPANS) == ExportResult()
    assert bench.first.requests == [SPANS]
    bench.accept(NEAR)
    assert bench.take_in().received == 1
    assert bench.read_log() == [
        {**bench.read_log()[0], "level": "error", "message": "the join failed", "exception": "ZeroDivisionError"}
    ]


def test_end_sends_what_has_its_parent(bench: Bench) -> None:
    """A half whose other half never came is sent at the end instead of waiting."""
    bench.accept(SPANS)
    bench.accept(NEAR)
    bench.pipeline.tick(0)
    assert bench.first.requests == [SPANS]
    bench.pipeline.drain(1)
    wait_until(lambda: len(bench.first.requests) == 2, DEADLINE_S)
    assert [span.name for span in list_spans(bench.first.requests[1:])] == ["host-forward", "vxlan-encap"]


def test_busy_join_delays_no_application_span(bench: Bench) -> None:
    """While the join is at work spans are delivered, and taken in once it is done."""
    with bench.pipeline.lock:
        bench.accept(NEAR + SPANS)
        assert bench.first.requests == [SPANS]
        assert bench.join.received == 0
    join = bench.take_in()
    assert (join.received, join.parents.count) == (1, 1)
    assert bench.pipeline.arrivals.size_bytes == 0


def test_join_that_is_behind_is_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for the join is bounded: whoever brings too much has it taken in before the answer."""
    monkeypatch.setattr(arrivals, "MAX_BYTES", 5000)
    for _ in range(100):
        bench.accept(NEAR)
        assert bench.pipeline.arrivals.size_bytes < 5000
    assert bench.join.received > 50
    assert bench.take_in().received == 100
