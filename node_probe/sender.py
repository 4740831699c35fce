"""Sends transits to the plugin: backlog -> OTLP requests, in a thread of its own.

One request at a time, tried again until it is delivered or refused for good; meanwhile the backlog takes what comes.
"""

import threading
from collections.abc import Callable
from typing import Protocol

from hopspan.backoff import draw_delay_ns
from hopspan.counters import Counters
from hopspan.export_errors import PermanentExportError, RetryableExportError
from hopspan.logs import Log
from hopspan.otlp_export import ExportResult
from node_probe.backlog import Backlog
from node_probe.counters import Event, Reason
from node_probe.span_writer import SpanBatch

MAX_BATCH_TRANSITS = 2000
"""Some 600 KB a request, far below the 4 MiB that OTLP receivers accept."""

DRAIN_TIMEOUT_S = 5.0
"""What an orderly stop gives to the last requests."""


class Exporter(Protocol):
    """What a request is handed to."""

    def export(self, request: bytes) -> ExportResult:
        """Deliver the request or raise an ExportError."""


class Tally(Protocol):
    """The agent's counters, as far as the sender adds to them."""

    reasons: Counters[Reason]
    events: Counters[Event]


class Sender:
    """The thread and its stopping."""

    def __init__(
        self, backlog: Backlog, exporter: Exporter, encode: Callable[[list[SpanBatch]], bytes], tally: Tally, log: Log
    ) -> None:
        """`encode` makes the request of some batches."""
        self._backlog = backlog
        self._exporter = exporter
        self._encode = encode
        self._tally = tally
        self._log = log
        self._stopping = threading.Event()
        self._given_up = threading.Event()
        self.failed_attempts = 0
        """To send the request that is being sent, so far. Like the next one, read by the health page."""
        self.refused = False
        """Whether the last request that was answered was refused for good."""
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Send what is left, for DRAIN_TIMEOUT_S at most; count the rest."""
        self._stopping.set()
        self._backlog.end_waiting()
        self._thread.join(DRAIN_TIMEOUT_S)
        self._given_up.set()
        self._thread.join(DRAIN_TIMEOUT_S)
        left = self._backlog.take(len(self._backlog))
        self._tally.reasons.add(Reason.SHUTDOWN, sum(batch.count for batch in left))

    def _run(self) -> None:
        # The reader of the ring fills the backlog once a round, so there is nothing to gather by waiting longer.
        while not self._given_up.is_set():
            self._backlog.wait()
            batches = self._backlog.take(MAX_BATCH_TRANSITS)
            if batches:
                self._deliver(batches)
            elif self._stopping.is_set():
                return

    def _deliver(self, batches: list[SpanBatch]) -> None:
        count = sum(batch.count for batch in batches)
        try:
            request = self._encode(batches)
        except Exception as error:  # noqa: BLE001 - one bad batch must not end the sending of all others
            self._tally.reasons.add(Reason.ENCODE_FAILED, count)
            self._log.error("transits could not be encoded", error=repr(error), transits=count)
            return
        self.failed_attempts = 0
        while not self._given_up.is_set():
            try:
                result = self._exporter.export(request)
            except RetryableExportError as error:
                self.failed_attempts += 1
                self._tally.events.add(Event.EXPORTS_RETRIED)
                self._log.warn("transits could not be sent yet", error=str(error))
                delay_ns = draw_delay_ns(self.failed_attempts, error.retry_after_ns)
                self._given_up.wait(delay_ns / 1e9)
            except PermanentExportError as error:
                self.failed_attempts, self.refused = 0, True
                self._tally.reasons.add(Reason.EXPORT_REFUSED, count)
                self._log.error("transits were refused", error=str(error), transits=count)
                return
            else:
                rejected = min(max(0, result.rejected_spans), count)
                self._tally.reasons.add(Reason.EXPORT_REJECTED, rejected)
                self._tally.events.add(Event.TRANSITS_SENT, count - rejected)
                self.failed_attempts, self.refused = 0, False
                return
        self._tally.reasons.add(Reason.SHUTDOWN, count)
