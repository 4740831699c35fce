"""One client's request while it waits for its delivery, and how its client is told what became of it.

No IO: there is a lock to wait for, or something to call.
"""

import threading
from collections.abc import Callable

from collector_plugin.span_request import SpanRequest
from hopspan.export_errors import ExportError, ExportResult
from hopspan.protowire import WireError

Done = Callable[[ExportResult | ExportError | WireError], None]
"""Takes what became of a request, in any thread. It must not wait, nor fail."""


class Parcel:
    """The request. With `done` that is called at its end; without, a thread waits for its `turn`."""

    __slots__ = ("done", "error", "is_wanted", "leads", "request", "result", "size", "turn")

    def __init__(self, request: SpanRequest, is_wanted: Callable[[], bool], done: Done | None = None) -> None:
        self.request = request
        self.size = len(request.data)
        self.is_wanted = is_wanted
        self.done = done
        # Released when there is a result, or when it leads. An Event would be a lock too, with a lock for each wait.
        self.turn = threading.Lock()
        self.turn.acquire()
        self.leads = False
        self.result: ExportResult | None = None
        self.error: ExportError | None = None

    def end(self) -> None:
        """Tell whoever waits for what became of it."""
        if self.done is None:
            self.turn.release()
            return
        outcome = self.error or self.result
        assert outcome is not None
        self.done(outcome)
