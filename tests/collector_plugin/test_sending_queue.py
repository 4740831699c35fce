"""The queue of an exporter for whose spans no client waits: bounded, merged, retried, drained."""

import io
import time
from collections.abc import Iterator

import pytest

from collector_plugin import sending_queue as queue_module
from collector_plugin.otlp_spans import MAX_REQUEST_BYTES
from collector_plugin.outcomes import SendOutcome
from collector_plugin.sending_queue import SendingQueue
from collector_plugin.span_request import SpanRequest
from hopspan.counters import Counters
from hopspan.export_errors import ExportResult, RetryableExportError
from hopspan.logs import Log
from tests.collector_plugin.gated_exporter import DEADLINE_S, GatedExporter, wait_until


class Bench:
    """A queue with its exporter."""

    def __init__(self) -> None:
        """Begin empty, with the thread running."""
        self.exporter = GatedExporter()
        self.outcomes = Counters(SendOutcome)
        self.queue = SendingQueue("otlp", self.exporter, self.outcomes, Log(stream=io.StringIO()))
        self.queue.start()

    def count(self) -> dict[str, int]:
        """Return the outcomes that occurred."""
        return {outcome.value: number for outcome, number in self.outcomes.read().items() if number}

    def close(self, seconds: float = DEADLINE_S) -> None:
        """Close the queue within `seconds`."""
        self.queue.close(time.monotonic_ns() + int(seconds * 1e9))
        self.exporter.gate.set()
        self.queue.join(DEADLINE_S)


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A queue, and no thread left behind."""
    bench = Bench()
    yield bench
    bench.close()


@pytest.fixture
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let retries come at once."""

    def draw(_attempt: int, retry_after_ns: int | None) -> int:
        return retry_after_ns or 0

    monkeypatch.setattr(queue_module, "draw_delay_ns", draw)


def test_what_waits_is_merged(bench: Bench) -> None:
    """While an export is in flight the others gather, and go together up to the limit."""
    bench.exporter.gate.clear()
    bench.queue.offer(SpanRequest(b"first", 1))
    bench.exporter.wait_for_start()
    large = bytes(MAX_REQUEST_BYTES - 1)
    for data in (b"b", b"c", large, b"d"):
        assert bench.queue.offer(SpanRequest(data, 2))
    bench.exporter.gate.set()
    wait_until(lambda: bench.count() == {"sent": 9})
    assert [len(request) for request in bench.exporter.requests] == [5, 2, len(large) + 1]
    assert bench.queue.size_bytes == 0


@pytest.mark.usefixtures("no_delay")
def test_failed_export_is_tried_again(bench: Bench) -> None:
    """A peer that is away delays spans and loses none."""
    bench.exporter.failures = [RetryableExportError("UNAVAILABLE", "away") for _ in range(3)]
    bench.queue.offer(SpanRequest(b"a", 23))
    wait_until(lambda: bench.count() == {"sent": 23})
    assert bench.exporter.requests == [b"a"]


def test_refused_batch_is_split(bench: Bench) -> None:
    """Of a merged batch that is refused only what alone is refused is lost."""
    bench.exporter.gate.clear()
    bench.queue.offer(SpanRequest(b"first", 1))
    bench.exporter.wait_for_start()
    bench.queue.offer(SpanRequest(b"b", 2))
    bench.queue.offer(SpanRequest(b"c", 4))
    bench.exporter.refused = b"b"
    bench.exporter.gate.set()
    wait_until(lambda: bench.count() == {"sent": 5, "refused": 2})
    assert bench.exporter.requests == [b"first", b"c"]


def test_full_queue_refuses_the_newest_and_counts(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is queued stays; who comes too late is lost, and known to be."""
    monkeypatch.setattr(queue_module, "MAX_QUEUE_BYTES", 10)
    bench.exporter.gate.clear()
    bench.queue.offer(SpanRequest(b"first", 1))
    bench.exporter.wait_for_start()
    assert bench.queue.offer(SpanRequest(b"b" * 10, 1))
    assert not bench.queue.offer(SpanRequest(b"c", 3))
    bench.exporter.gate.set()
    wait_until(lambda: bench.count() == {"sent": 2, "queue_full": 3})


@pytest.mark.usefixtures("no_delay")
def test_retries_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that stays away for long makes room for newer spans."""
    monkeypatch.setattr(queue_module, "MAX_ELAPSED_NS", 10**9)
    bench.exporter.failures = [RetryableExportError("UNAVAILABLE", "away", 2 * 10**9)]
    bench.queue.offer(SpanRequest(b"a", 3))
    wait_until(lambda: bench.count() == {"gave_up": 3})
    bench.queue.offer(SpanRequest(b"b", 1))
    wait_until(lambda: bench.count() == {"gave_up": 3, "sent": 1})


def test_partial_success_is_counted(bench: Bench) -> None:
    """What the peer left out is not counted as sent, nor tried again."""
    bench.exporter.result = ExportResult(2, "two were bad")
    bench.queue.offer(SpanRequest(b"a", 5))
    wait_until(lambda: bench.count() == {"sent": 3, "rejected": 2})


def test_end_drains_the_queue(bench: Bench) -> None:
    """What was taken is sent before the thread ends; what comes later is refused and counted."""
    bench.exporter.gate.clear()
    bench.queue.offer(SpanRequest(b"first", 1))
    bench.exporter.wait_for_start()
    for _ in range(23):
        bench.queue.offer(SpanRequest(b"b", 1))
    bench.exporter.gate.set()
    bench.close()
    assert bench.count() == {"sent": 24}
    assert not bench.queue.offer(SpanRequest(b"c", 2))
    assert bench.count() == {"sent": 24, "shutdown": 2}


def test_end_comes_in_time_though_the_peer_is_away(bench: Bench) -> None:
    """When the time is over, what is queued and what is being retried is counted as lost."""
    bench.exporter.failures = [RetryableExportError("UNAVAILABLE", "away", 60 * 10**9)]
    bench.queue.offer(SpanRequest(b"a", 3))
    wait_until(lambda: not bench.exporter.failures)
    bench.queue.offer(SpanRequest(b"b", 4))
    bench.close(0.05)
    assert bench.count() == {"shutdown": 7}
