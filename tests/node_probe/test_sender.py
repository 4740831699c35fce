"""Sending is a story: delivered, retried, refused, given up; every transit ends under one count."""

import io
import threading
from collections.abc import Callable

import pytest

from hopspan.counters import Counters
from hopspan.export_errors import ExportError, PermanentExportError, RetryableExportError
from hopspan.logs import Log
from hopspan.otlp_export import ExportResult
from node_probe import sender as sender_module
from node_probe.backlog import Backlog
from node_probe.counters import Event, Reason
from node_probe.sender import Sender
from node_probe.span_writer import SpanBatch
from testbed.deadline import wait_until
from tests.node_probe.batches import encode, make_batch


class Counts:
    def __init__(self) -> None:
        self.reasons: Counters[Reason] = Counters(Reason)
        self.events: Counters[Event] = Counters(Event)


class ScriptedExporter:
    """Answers each request with the next line of the script, then with success."""

    def __init__(self, script: list[ExportError | ExportResult], deliver: Callable[[bytes], None]) -> None:
        self.script = script
        self.deliver = deliver
        self.requests: list[bytes] = []
        self.called = threading.Event()

    def export(self, request: bytes) -> ExportResult:
        self.requests.append(request)
        self.called.set()
        answer = self.script.pop(0) if self.script else ExportResult()
        if isinstance(answer, ExportError):
            raise answer
        self.deliver(request)
        return answer


def make_sender(counts: Counts, exporter: ScriptedExporter, count: int = 5) -> Sender:
    """Return a sender with `count` batches of one transit before it."""
    backlog = Backlog()
    backlog.add([make_batch(n) for n in range(count)])
    return Sender(backlog, exporter, encode, counts, Log(stream=io.StringIO()))


def run_story(
    script: list[ExportError | ExportResult], count: int = 5
) -> tuple[Counts, ScriptedExporter, list[bytes]]:
    """Send `count` transits through the script, stop in good order, and return what was counted and delivered."""
    counts, delivered = Counts(), list[bytes]()
    exporter = ScriptedExporter(script, delivered.append)
    sender = make_sender(counts, exporter, count)
    sender.start()
    sender.stop()
    return counts, exporter, delivered


def nonzero(counts: Counts) -> dict[str, int]:
    read = [*counts.reasons.read().items(), *counts.events.read().items()]
    return {key.value: value for key, value in read if value}


def test_delivered() -> None:
    """What waits is sent in one request, in order."""
    counts, _, delivered = run_story([])
    assert delivered == [b"0,1,2,3,4"]
    assert nonzero(counts) == {"transits_sent": 5}


def test_retried_until_delivered() -> None:
    """The same request is sent again after a failure that may pass."""
    away = RetryableExportError("UNAVAILABLE", "away", retry_after_ns=0)
    counts, exporter, delivered = run_story([away])
    assert exporter.requests == [b"0,1,2,3,4"] * 2
    assert delivered == [b"0,1,2,3,4"]
    assert nonzero(counts) == {"transits_sent": 5, "exports_retried": 1}


def test_refused_for_good() -> None:
    """A request that will never be accepted is not sent again, and its transits are counted."""
    counts, exporter, _ = run_story([PermanentExportError("UNAUTHENTICATED", "no")])
    assert len(exporter.requests) == 1
    assert nonzero(counts) == {"export_refused": 5}


def test_partial_success_is_not_retried() -> None:
    """OTLP: what the peer rejected of an accepted request must not be sent again."""
    counts, exporter, _ = run_story([ExportResult(rejected_spans=2, message="two are bad")])
    assert len(exporter.requests) == 1
    assert nonzero(counts) == {"transits_sent": 3, "export_rejected": 2}


def test_transits_that_cannot_be_encoded() -> None:
    """A batch that cannot become a request is counted, and does not end the sending of those behind it."""
    counts, backlog, delivered = Counts(), Backlog(), list[bytes]()

    def encode_but_the_first(batches: list[SpanBatch]) -> bytes:
        if batches[0] == make_batch(0):
            raise UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed")
        return encode(batches)

    sender = Sender(
        backlog, ScriptedExporter([], delivered.append), encode_but_the_first, counts, Log(stream=io.StringIO())
    )
    backlog.add([make_batch(n) for n in range(sender_module.MAX_BATCH_TRANSITS + 3)])
    sender.start()
    sender.stop()
    assert nonzero(counts) == {"transits_sent": 3, "encode_failed": sender_module.MAX_BATCH_TRANSITS}


def test_large_backlog_goes_in_batches() -> None:
    """Requests stay below the receivers' limit."""
    counts, exporter, _ = run_story([], count=sender_module.MAX_BATCH_TRANSITS * 2 + 3)
    assert len(exporter.requests) == 3
    assert nonzero(counts) == {"transits_sent": sender_module.MAX_BATCH_TRANSITS * 2 + 3}


def test_peer_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """An orderly stop gives up after its time, and what was not sent is counted."""
    monkeypatch.setattr(sender_module, "DRAIN_TIMEOUT_S", 0.2)
    away = RetryableExportError("UNAVAILABLE", "away", retry_after_ns=10**9)
    counts, _, delivered = run_story([away] * 1000)
    assert delivered == []
    assert counts.reasons.read()[Reason.SHUTDOWN] == 5
    assert counts.events.read()[Event.TRANSITS_SENT] == 0


@pytest.mark.parametrize(
    ("last", "attempts", "refused"),
    [
        (RetryableExportError("UNAVAILABLE", "away", retry_after_ns=10**12), 3, False),
        (PermanentExportError("UNAUTHENTICATED", "no"), 0, True),
        (ExportResult(), 0, False),
    ],
    ids=["away", "refused", "back"],
)
def test_state_for_the_health_page(last: ExportError | ExportResult, attempts: int, *, refused: bool) -> None:
    """While the peer is away the attempts are counted; its answer, good or bad, ends that."""
    away = RetryableExportError("UNAVAILABLE", "away", retry_after_ns=0)
    exporter = ScriptedExporter([away, away, last], lambda _: None)
    sender = make_sender(Counts(), exporter)
    sender.start()
    if isinstance(last, RetryableExportError):
        wait_until(lambda: sender.failed_attempts == attempts, "the third attempt did not fail", 20)
        return  # it waits for the peer now, in a daemon thread
    sender.stop()
    assert (sender.failed_attempts, sender.refused) == (attempts, refused)
