"""Delivers application spans while their clients wait: at once when no export is in flight, merged while one is.

Whoever comes while nothing is in flight sends; who comes meanwhile waits, and the first of them sends for all. For
those without a thread to wait in, one of its own sends. No timer: what limits the wait is the exporter's timeout.
"""

import collections
import logging
import queue
import threading
import time
from collections.abc import Callable

from collector_plugin.exporter import Exporter, merge_fits
from collector_plugin.formats import convert_request, merge_requests
from collector_plugin.otlp_spans import MAX_REQUEST_BYTES
from collector_plugin.outcomes import SendOutcome
from collector_plugin.parcel import Done, Parcel
from collector_plugin.span_request import SpanFormat, SpanRequest
from collector_plugin.split import split_request
from hopspan.backoff import draw_delay_ns
from hopspan.counters import Counters
from hopspan.export_errors import ExportError, ExportResult, PermanentExportError, RetryableExportError
from hopspan.protowire import WireError

MAX_WAITING_BYTES = 64 << 20
"""What may wait while an export is in flight: sixteen merged requests, more than their clients would wait for."""

OVERLOAD_RETRY_NS = 10**9
"""What a client is asked to wait when more than that waits."""


class Delivery:
    """The way to the exporter that acknowledges."""

    waits = True

    def __init__(
        self, exporter: Exporter, outcomes: Counters[SendOutcome], span_format: SpanFormat = SpanFormat.OTLP
    ) -> None:
        """Count the spans' outcomes in `outcomes`; `span_format` is what the exporter takes."""
        self._exporter = exporter
        self._format = span_format
        self._outcomes = outcomes
        self._lock = threading.Lock()
        self._waiting: collections.deque[Parcel] = collections.deque()
        self._waiting_bytes = 0
        self._in_flight = False
        self._turns: queue.SimpleQueue[bool] = queue.SimpleQueue()
        """One for each time that the thread of its own sends; False: it ends."""
        self._thread: threading.Thread | None = None
        self.failed_attempts = 0
        """In a row, the last ones; read by the health page."""

    @property
    def waiting_bytes(self) -> int:
        """Return the size of what waits for the export in flight."""
        return self._waiting_bytes

    def deliver(self, request: SpanRequest, is_wanted: Callable[[], bool]) -> ExportResult:
        """Return once the request was delivered.

        `is_wanted` tells whether the client still waits: what nobody waits for is not sent, as it will come again.
        Raises RetryableExportError, PermanentExportError, or WireError where the exporter's format cannot hold it.
        """
        pieces = self._prepare(request)
        return self._deliver(pieces[0], is_wanted) if len(pieces) == 1 else self._deliver_pieces(pieces, is_wanted)

    def begin(self, request: SpanRequest, is_wanted: Callable[[], bool], done: Done) -> None:
        """Do the same, but return at once: `done` gets what `deliver` would return or raise."""
        try:
            pieces = self._prepare(request)
            if len(pieces) == 1:
                self._enter(Parcel(pieces[0], is_wanted, done))
                return
        except (ExportError, WireError) as error:
            done(error)
            return
        # Seldom: 4 MiB each, so that not many can be there at once.
        threading.Thread(target=self._deliver_and_tell, args=(pieces, is_wanted, done), daemon=True).start()

    def close(self) -> None:
        """End the thread once it has nothing to send."""
        self._turns.put(False)  # noqa: FBT003 - what the queue holds

    def _prepare(self, request: SpanRequest) -> list[SpanRequest]:
        converted = convert_request(request, self._format)
        self._outcomes.add(SendOutcome.LEFT_OUT, converted.left_out)
        return split_request(converted)

    def _deliver_and_tell(self, pieces: list[SpanRequest], is_wanted: Callable[[], bool], done: Done) -> None:
        try:
            result = self._deliver_pieces(pieces, is_wanted)
        except (ExportError, WireError) as error:
            done(error)
        else:
            done(result)

    def _deliver_pieces(self, pieces: list[SpanRequest], is_wanted: Callable[[], bool]) -> ExportResult:
        """Deliver the pieces of a request that is too large for the peer, one by one.

        Once the first is there the client should not come again with all: the others are tried as long as it waits.
        """
        total = ExportResult()
        refused: PermanentExportError | None = None
        for number, piece in enumerate(pieces):
            try:
                result = self._deliver_patiently(piece, is_wanted) if number else self._deliver(piece, is_wanted)
            except PermanentExportError as error:
                result, refused = ExportResult(piece.span_count, error.message), error
            total = ExportResult(total.rejected_spans + result.rejected_spans, total.message or result.message)
        if refused is not None and total.rejected_spans >= sum(piece.span_count for piece in pieces):
            raise refused
        return total

    def _deliver_patiently(self, piece: SpanRequest, is_wanted: Callable[[], bool]) -> ExportResult:
        attempt = 0
        while True:
            try:
                return self._deliver(piece, is_wanted)
            except RetryableExportError as error:
                attempt += 1
                time.sleep(draw_delay_ns(attempt, error.retry_after_ns) / 1e9)
                if not is_wanted():
                    raise

    def _deliver(self, request: SpanRequest, is_wanted: Callable[[], bool]) -> ExportResult:
        parcel = Parcel(request, is_wanted)
        self._enter(parcel)
        if not parcel.leads:
            parcel.turn.acquire()
        if parcel.leads:
            self._lead()
        if parcel.error is not None:
            raise parcel.error
        assert parcel.result is not None
        return parcel.result

    def _enter(self, parcel: Parcel) -> None:
        """Let a parcel wait, and see to it that somebody sends. Raises RetryableExportError."""
        with self._lock:
            if self._in_flight and self._waiting_bytes + parcel.size > MAX_WAITING_BYTES:
                self._outcomes.add(SendOutcome.QUEUE_FULL, parcel.request.span_count)
                raise RetryableExportError("UNAVAILABLE", "too many spans wait to be sent", OVERLOAD_RETRY_NS)
            self._waiting.append(parcel)
            self._waiting_bytes += parcel.size
            parcel.leads = not self._in_flight
            self._in_flight = True
        if parcel.leads and parcel.done is not None:
            self._take_turn()

    def _take_turn(self) -> None:
        """Have the thread of its own send. Called by whoever has the lead, thus by one at a time."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="deliver", daemon=True)
            self._thread.start()
        self._turns.put(True)  # noqa: FBT003 - what the queue holds

    def _run(self) -> None:
        while self._turns.get():
            try:
                self._lead()
            except Exception:
                # A fault of an exporter. Its requests were told; others must not wait for ever.
                logging.getLogger(__name__).exception("an export broke off")

    def _lead(self) -> None:
        """Send the first waiting requests as one, then hand on."""
        batch: list[Parcel] = []
        try:
            batch = self._take_batch()
            self._send(batch)
        finally:
            for parcel in batch:
                if parcel.result is None and parcel.error is None:
                    parcel.error = RetryableExportError("UNAVAILABLE", "the export broke off")
            self._hand_on()
            for parcel in batch:
                parcel.end()

    def _take_batch(self) -> list[Parcel]:
        batch: list[Parcel] = []
        size = 0
        with self._lock:
            while self._waiting and merge_fits(size, self._waiting[0].size, MAX_REQUEST_BYTES):
                parcel = self._waiting.popleft()
                self._waiting_bytes -= parcel.size
                size += parcel.size
                batch.append(parcel)
        return batch

    def _hand_on(self) -> None:
        with self._lock:
            if not self._waiting:
                self._in_flight = False
                return
            heir = self._waiting[0]
            heir.leads = True
        if heir.done is not None:
            self._take_turn()
        else:
            heir.turn.release()

    def _send(self, batch: list[Parcel]) -> None:
        wanted: list[Parcel] = []
        for parcel in batch:
            if parcel.is_wanted():
                wanted.append(parcel)
            else:
                parcel.error = RetryableExportError("CANCELLED", "the client waits no longer")
        if len(wanted) == 1:
            self._send_alone(wanted[0])
        elif wanted:
            self._send_merged(wanted)

    def _send_merged(self, parcels: list[Parcel]) -> None:
        try:
            result = self._exporter.export(merge_requests([parcel.request for parcel in parcels]))
        except RetryableExportError as error:
            for parcel in parcels:
                parcel.error = error
            self.failed_attempts += 1
            self._outcomes.add(SendOutcome.RETRYABLE, sum(parcel.request.span_count for parcel in parcels))
        except PermanentExportError:
            # One client's fault is not another's, and only alone can it be told whose it is.
            for parcel in parcels:
                self._send_alone(parcel)
        else:
            for parcel in parcels:
                # What was rejected of a merged request cannot be told apart; it is counted, and nobody is told wrong.
                parcel.result = ExportResult()
            self._count_delivered(sum(parcel.request.span_count for parcel in parcels), result)

    def _send_alone(self, parcel: Parcel) -> None:
        try:
            parcel.result = self._exporter.export(parcel.request.data)
        except ExportError as error:
            parcel.error = error
            permanent = isinstance(error, PermanentExportError)
            self.failed_attempts = 0 if permanent else self.failed_attempts + 1
            self._outcomes.add(SendOutcome.REFUSED if permanent else SendOutcome.RETRYABLE, parcel.request.span_count)
        else:
            self._count_delivered(parcel.request.span_count, parcel.result)

    def _count_delivered(self, span_count: int, result: ExportResult) -> None:
        self.failed_attempts = 0
        rejected = max(0, min(result.rejected_spans, span_count))
        self._outcomes.add(SendOutcome.SENT, span_count - rejected)
        self._outcomes.add(SendOutcome.REJECTED, rejected)
