"""A bounded queue before an exporter, and the thread that sends what is in it, merged and with retries.

For what no client waits for: network spans, and every exporter but the first. When it is full the newest are refused,
for the oldest may already be on their way.
"""

import collections
import threading
import time

from collector_plugin.exporter import Exporter, merge_fits
from collector_plugin.formats import convert_request, merge_requests
from collector_plugin.otlp_spans import MAX_REQUEST_BYTES
from collector_plugin.outcomes import SendOutcome
from collector_plugin.span_request import SpanFormat, SpanRequest
from collector_plugin.split import split_request
from hopspan.backoff import draw_delay_ns
from hopspan.counters import Counters
from hopspan.export_errors import PermanentExportError, RetryableExportError
from hopspan.logs import Log
from hopspan.protowire import WireError

MAX_QUEUE_BYTES = 32 << 20
"""Some 60,000 network spans, or half a minute of 2,000 a second while the peer is away."""

GATHER_S = 0.05
"""What the first of a batch waits for others: a call costs as much as taking in three requests of 100 spans."""

GATHER_BYTES = 512 << 10
"""At which a batch waits no longer: what a call costs beyond copying is then a tenth of it. Blocks from a megabyte on
are mapped by the allocator each time, which costs more than copying."""

MAX_ELAPSED_NS = 300 * 10**9
"""As the Collector's `max_elapsed_time`: then newer spans are worth more."""


class SendingQueue:
    """A queue to one exporter."""

    def __init__(
        self,
        name: str,
        exporter: Exporter,
        outcomes: Counters[SendOutcome],
        log: Log,
        span_format: SpanFormat = SpanFormat.OTLP,
    ) -> None:
        """Make the queue of the exporter `name`, which takes `span_format`; nothing is sent before `start`."""
        self._name = name
        self.format = span_format
        self._exporter = exporter
        self._outcomes = outcomes
        self._log = log
        self._queue: collections.deque[SpanRequest] = collections.deque()
        self._queue_bytes = 0
        self.failed_attempts = 0
        """In a row, to send what is being sent; read by the health page."""
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._abandoned = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"send-{name}", daemon=True)

    @property
    def size_bytes(self) -> int:
        """Return the size of what waits."""
        return self._queue_bytes

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def offer(self, request: SpanRequest) -> bool:
        """Take the request in, or count its spans as lost and return False where it has no room."""
        try:
            converted = convert_request(request, self.format)
            pieces = split_request(converted)
        except WireError as error:
            self._outcomes.add(SendOutcome.REFUSED, request.span_count)
            self._log.error("spans cannot be put into an exporter's format", exporter=self._name, text=str(error))
            return False
        self._outcomes.add(SendOutcome.LEFT_OUT, converted.left_out)
        size = sum(len(piece.data) for piece in pieces)
        with self._changed:
            fits = self._queue_bytes + size <= MAX_QUEUE_BYTES
            if fits and not self._closing.is_set():
                # The thread waits for the first and for enough: in between it is not to be woken.
                is_first = not self._queue
                self._queue.extend(pieces)
                self._queue_bytes += size
                if is_first or self._queue_bytes >= GATHER_BYTES:
                    self._changed.notify()
                return True
        self._outcomes.add(SendOutcome.SHUTDOWN if fits else SendOutcome.QUEUE_FULL, request.span_count)
        self._log.warn("spans are lost: a sending queue is full or closed", exporter=self._name)
        return False

    def close(self, deadline_ns: int) -> None:
        """Send what is left until `deadline_ns` of the monotonic clock; count what is still there then."""
        with self._changed:
            self._closing.set()
            self._changed.notify()
        self._thread.join(max(0, deadline_ns - time.monotonic_ns()) / 1e9)
        self._abandoned.set()
        with self._changed:
            self._outcomes.add(SendOutcome.SHUTDOWN, sum(request.span_count for request in self._queue))
            self._queue.clear()
            self._queue_bytes = 0

    def join(self, timeout_s: float) -> None:
        """Wait for the thread, once its exporter was closed: then nothing is in flight and all is counted."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._closing.is_set():
                    self._changed.wait()
                if not self._queue:
                    return
                self._changed.wait_for(self._has_gathered, GATHER_S)
                batch = self._take_batch()
            self._send(batch)

    def _has_gathered(self) -> bool:
        return self._queue_bytes >= GATHER_BYTES or self._closing.is_set()

    def _take_batch(self) -> list[SpanRequest]:
        batch: list[SpanRequest] = []
        size = 0
        while self._queue and merge_fits(size, len(self._queue[0].data), MAX_REQUEST_BYTES):
            request = self._queue.popleft()
            self._queue_bytes -= len(request.data)
            size += len(request.data)
            batch.append(request)
        return batch

    def _send(self, batch: list[SpanRequest]) -> None:
        data = merge_requests(batch)
        span_count = sum(request.span_count for request in batch)
        give_up_ns = time.monotonic_ns() + MAX_ELAPSED_NS
        attempt = 0
        while True:
            try:
                result = self._exporter.export(data)
            except RetryableExportError as error:
                attempt += 1
                self.failed_attempts = attempt
                self._log.warn("an exporter cannot deliver, and will try again", exporter=self._name, code=error.code)
                delay_ns = draw_delay_ns(attempt, error.retry_after_ns)
                outcome = self._wait(delay_ns, give_up_ns)
                if outcome is not None:
                    self._outcomes.add(outcome, span_count)
                    return
            except PermanentExportError as error:
                self.failed_attempts = 0
                if len(batch) > 1:
                    # One request's fault is not another's.
                    for request in batch:
                        self._send([request])
                    return
                self._outcomes.add(SendOutcome.REFUSED, span_count)
                self._log.error("a peer refuses spans", exporter=self._name, code=error.code, text=error.message)
                return
            else:
                self.failed_attempts = 0
                rejected = max(0, min(result.rejected_spans, span_count))
                self._outcomes.add(SendOutcome.SENT, span_count - rejected)
                self._outcomes.add(SendOutcome.REJECTED, rejected)
                return

    def _wait(self, delay_ns: int, give_up_ns: int) -> SendOutcome | None:
        """Wait before the next attempt; return how the spans end if there is none."""
        if time.monotonic_ns() + delay_ns > give_up_ns:
            return SendOutcome.GAVE_UP
        return SendOutcome.SHUTDOWN if self._abandoned.wait(delay_ns / 1e9) else None
