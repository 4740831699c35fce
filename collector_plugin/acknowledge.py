"""The two other ways to answer a client than `delivery`: once its spans wait in a queue, and without passing them on.

Pure but for the queue.
"""

from collections.abc import Callable
from typing import Protocol

from collector_plugin.formats import convert_request
from collector_plugin.sending_queue import SendingQueue
from collector_plugin.span_request import SpanRequest
from hopspan.export_errors import ExportResult, RetryableExportError

FULL_RETRY_NS = 10**9
"""What a client is asked to wait when the queue is full: a merged request takes a fraction of it."""


class Acknowledger(Protocol):
    """Takes application spans, and returns when their client may be told of success."""

    waits: bool
    """Whether that may be only when a peer has answered."""

    def deliver(self, request: SpanRequest, is_wanted: Callable[[], bool]) -> ExportResult:
        """Take the request. Raises RetryableExportError, PermanentExportError or WireError."""


class AcceptedDelivery:
    """Success means that the spans wait in a bounded queue, as in the Collector: lost if the process dies."""

    waits = False

    def __init__(self, queue: SendingQueue) -> None:
        """Put requests into `queue`."""
        self._queue = queue

    def deliver(self, request: SpanRequest, is_wanted: Callable[[], bool]) -> ExportResult:  # noqa: ARG002 - no wait
        """Put the request into the queue. Raises RetryableExportError where it has no room, or WireError."""
        if not self._queue.offer(convert_request(request, self._queue.format)):
            raise RetryableExportError("UNAVAILABLE", "too many spans wait to be sent", FULL_RETRY_NS)
        return ExportResult()


class Tapped:
    """The spans are a copy: somebody else delivers them, and here they have been seen."""

    waits = False

    def deliver(self, request: SpanRequest, is_wanted: Callable[[], bool]) -> ExportResult:  # noqa: ARG002 - no wait
        """Let the request go."""
        return ExportResult()
