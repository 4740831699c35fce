"""Delivery: at once, merged while an export is in flight, and each client told its own fate."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from collector_plugin import delivery as delivery_module
from collector_plugin.delivery import Delivery
from collector_plugin.otlp_spans import MAX_REQUEST_BYTES
from collector_plugin.outcomes import SendOutcome
from collector_plugin.span_request import SpanRequest
from hopspan.counters import Counters
from hopspan.export_errors import ExportResult, PermanentExportError, RetryableExportError
from tests.collector_plugin.builders import list_spans, make_request, make_resource_spans, make_span
from tests.collector_plugin.gated_exporter import DEADLINE_S, GatedExporter, wait_until


class Bench:
    """A delivery with its exporter, and clients in threads of their own, or none of which waits in a thread."""

    def __init__(self, *, waits: bool) -> None:
        """Begin with nothing in flight."""
        self.waits = waits
        self.exporter = GatedExporter()
        self.outcomes = Counters(SendOutcome)
        self.delivery = Delivery(self.exporter, self.outcomes)
        self.clients = ThreadPoolExecutor(16)
        self._queued_bytes = 0

    def send(self, data: bytes, is_wanted: Callable[[], bool] = lambda: True) -> "Future[ExportResult]":
        """Let a client send a request of one span."""
        return self.send_request(SpanRequest(data, 1), is_wanted)

    def send_request(
        self, request: SpanRequest, is_wanted: Callable[[], bool] = lambda: True
    ) -> "Future[ExportResult]":
        """Let a client send a request."""
        if self.waits:
            return self.clients.submit(self.delivery.deliver, request, is_wanted)
        future: Future[ExportResult] = Future()

        def done(outcome: ExportResult | Exception) -> None:
            if isinstance(outcome, ExportResult):
                future.set_result(outcome)
            else:
                future.set_exception(outcome)

        self.delivery.begin(request, is_wanted, done)
        return future

    def send_behind(self, data: bytes, is_wanted: Callable[[], bool] = lambda: True) -> "Future[ExportResult]":
        """Let a client send while an export is in flight; return once it waits."""
        self._queued_bytes += len(data)
        future = self.send(data, is_wanted)
        wait_until(lambda: self.delivery.waiting_bytes == self._queued_bytes)
        return future

    def hold_first(self) -> "Future[ExportResult]":
        """Put an export in flight that goes on when the gate is opened."""
        self.exporter.gate.clear()
        future = self.send(b"first")
        assert self.exporter.wait_for_start() == b"first"
        return future

    def count(self) -> dict[str, int]:
        """Return the outcomes that occurred."""
        return {outcome.value: number for outcome, number in self.outcomes.read().items() if number}


@pytest.fixture(params=[True, False], ids=["clients wait", "clients are called"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A delivery, and no thread left behind."""
    bench = Bench(waits=request.param)
    yield bench
    bench.exporter.gate.set()
    bench.clients.shutdown()
    bench.delivery.close()


def wait_for(future: "Future[ExportResult]") -> ExportResult:
    """Return a client's answer."""
    return future.result(DEADLINE_S)


def test_request_is_sent_at_once(bench: Bench) -> None:
    """With nothing in flight a request goes alone, and its bytes are untouched."""
    assert wait_for(bench.send(b"a")) == ExportResult()
    assert bench.exporter.requests == [b"a"]
    assert bench.count() == {"sent": 1}


def test_requests_are_merged_while_one_is_in_flight(bench: Bench) -> None:
    """Who waits meanwhile goes together in the order of arrival, and is answered after its own delivery."""
    first = bench.hold_first()
    waiting = [bench.send_behind(data) for data in (b"b", b"c", b"d")]
    assert not any(future.done() for future in waiting)
    bench.exporter.gate.set()
    assert [wait_for(future) for future in (first, *waiting)] == [ExportResult()] * 4
    assert bench.exporter.requests == [b"first", b"bcd"]
    assert bench.count() == {"sent": 4}


def test_merged_requests_stay_below_the_limit(bench: Bench) -> None:
    """X."""
    first = bench.hold_first()
    half = bytes(MAX_REQUEST_BYTES // 2)
    large = bytes(MAX_REQUEST_BYTES)
    waiting = [bench.send_behind(data) for data in (half, half, b"x", large, b"y")]
    bench.exporter.gate.set()
    for future in (first, *waiting):
        wait_for(future)
    assert [len(request) for request in bench.exporter.requests] == [5, 2 * len(half), 1, len(large), 1]


def test_failure_is_told_to_every_client_of_a_merged_request(bench: Bench) -> None:
    """A retryable failure is retryable for all."""
    first = bench.hold_first()
    waiting = [bench.send_behind(data) for data in (b"b", b"c")]
    bench.exporter.failures = [RetryableExportError("UNAVAILABLE", "away", 5)] * 2
    bench.exporter.gate.set()
    for future in (first, *waiting):
        with pytest.raises(RetryableExportError) as caught:
            wait_for(future)
        assert caught.value.retry_after_ns == 5
    assert bench.exporter.requests == []
    assert bench.count() == {"retryable": 3}


def test_merged_request_that_is_refused_is_split(bench: Bench) -> None:
    """One client's fault is not another's: each is sent singly and told its own fate."""
    first = bench.hold_first()
    waiting = [bench.send_behind(data) for data in (b"b", b"bad", b"d")]
    bench.exporter.refused = b"bad"
    bench.exporter.gate.set()
    wait_for(first)
    assert wait_for(waiting[0]) == ExportResult()
    with pytest.raises(PermanentExportError, match="INVALID_ARGUMENT"):
        wait_for(waiting[1])
    assert wait_for(waiting[2]) == ExportResult()
    assert bench.exporter.requests == [b"first", b"b", b"d"]
    assert bench.count() == {"sent": 3, "refused": 1}


def test_client_that_waits_no_longer_is_left_out(bench: Bench) -> None:
    """It will send the same again, so sending it now would double it."""
    first = bench.hold_first()
    gone, there = bench.send_behind(b"gone", lambda: False), bench.send_behind(b"there")
    bench.exporter.gate.set()
    wait_for(first)
    with pytest.raises(RetryableExportError, match="CANCELLED"):
        wait_for(gone)
    assert wait_for(there) == ExportResult()
    assert bench.exporter.requests == [b"first", b"there"]


def test_too_much_that_waits_is_refused_with_a_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded: who comes too many is asked to come again."""
    monkeypatch.setattr(delivery_module, "MAX_WAITING_BYTES", 10)
    first = bench.hold_first()
    second = bench.send_behind(b"b" * 10)
    with pytest.raises(RetryableExportError, match="too many spans wait") as caught:
        wait_for(bench.send(b"c"))
    assert caught.value.retry_after_ns == 10**9
    bench.exporter.gate.set()
    wait_for(first)
    wait_for(second)
    assert bench.count() == {"sent": 2, "queue_full": 1}


def test_partial_success_is_told_to_the_client_that_it_concerns(bench: Bench) -> None:
    """Alone, a client hears what was left out; of a merged request nobody knows whose it was, so it is counted."""
    bench.exporter.result = ExportResult(1, "one was bad")
    first = bench.hold_first()
    waiting = [bench.send_behind(data) for data in (b"b", b"c")]
    bench.exporter.gate.set()
    assert wait_for(first) == ExportResult(1, "one was bad")
    assert [wait_for(future) for future in waiting] == [ExportResult()] * 2
    assert bench.count() == {"sent": 1, "rejected": 2}


def test_fault_in_an_exporter_leaves_nobody_waiting(bench: Bench) -> None:
    """An error that none expected reaches the client that led; the others are asked to come again."""
    first = bench.hold_first()
    leader = bench.send_behind(b"b")
    follower = bench.send_behind(b"c")
    bench.exporter.is_broken = True
    bench.exporter.gate.set()
    # Who sends itself meets the error itself.
    for sent in (first, leader):
        with pytest.raises(ZeroDivisionError if bench.waits else RetryableExportError):
            wait_for(sent)
    with pytest.raises(RetryableExportError, match="broke off"):
        wait_for(follower)
    bench.exporter.is_broken = False
    assert wait_for(bench.send(b"d")) == ExportResult()


def test_many_clients_lose_nothing(bench: Bench) -> None:
    """Under load every request is in exactly one export, and every answer is right."""
    futures = [bench.send(b"%04d" % number) for number in range(2300)]
    for future in futures:
        wait_for(future)
    got = b"".join(bench.exporter.requests)
    assert sorted(got[i : i + 4] for i in range(0, len(got), 4)) == [b"%04d" % number for number in range(2300)]
    assert bench.count() == {"sent": 2300}
    assert threading.active_count() <= 30


def make_large_request() -> SpanRequest:
    """Return a request of three times what peers take, in spans of 1 MiB."""
    spans = [make_span(span_id=bytes([number]) * 8) for number in range(1, 11)]
    for span in spans:
        span.name = "x" * (1 << 20)
    return SpanRequest(make_request(make_resource_spans(spans)), len(spans))


def test_request_larger_than_peers_take_goes_in_pieces(bench: Bench) -> None:
    """Its client is answered once all are there, and no piece is larger than 4 MiB."""
    large = make_large_request()
    assert bench.send_request(large).result(DEADLINE_S) == ExportResult()
    assert all(len(request) <= MAX_REQUEST_BYTES for request in bench.exporter.requests)
    assert len(list_spans(bench.exporter.requests)) == large.span_count
    assert bench.count() == {"sent": 10}


def test_piece_that_fails_is_tried_again_alone(bench: Bench) -> None:
    """What was delivered of a request is not sent twice while its client waits."""
    large = make_large_request()
    bench.exporter.gate.clear()
    future = bench.send_request(large)
    bench.exporter.wait_for_start()
    bench.exporter.gate.set()
    wait_until(lambda: bench.exporter.requests)
    bench.exporter.failures.append(RetryableExportError("UNAVAILABLE", "busy"))
    assert future.result(DEADLINE_S) == ExportResult()
    ids = [span.span_id for span in list_spans(bench.exporter.requests)]
    assert len(ids) == len(set(ids)) == large.span_count


def test_refused_piece_is_told_as_partial_success(bench: Bench) -> None:
    """The client must not come again with what is there already, and hears how many spans are not."""
    bench.exporter.refused = bytes([1]) * 8
    result = bench.send_request(make_large_request()).result(DEADLINE_S)
    assert 0 < result.rejected_spans < 10
    assert result.message == "no"
    assert bench.count() == {"sent": 10 - result.rejected_spans, "refused": result.rejected_spans}
