"""An exporter whose exports can be held at a gate, so that tests decide what happens while one is in flight."""

import queue
import threading
from collections.abc import Callable

from collector_plugin.recorder import RecordingExporter
from hopspan.export_errors import ExportResult, PermanentExportError

DEADLINE_S = 20.0
"""How long a test waits for what must happen."""


class GatedExporter(RecordingExporter):
    """Keeps what it is given; while the gate is shut each export waits for it."""

    def __init__(self) -> None:
        """Begin with an open gate."""
        super().__init__()
        self.started: queue.Queue[bytes] = queue.Queue()
        """Each export, as it begins."""
        self.gate = threading.Event()
        self.gate.set()
        self.refused: bytes | None = None
        """Every request with these bytes in it is refused for good."""
        self.is_broken = False
        """Whether each export ends in an error that nobody expects."""

    def export(self, request: bytes, timeout_ns: int | None = None) -> ExportResult:
        """Wait for the gate, then do as the recorder does."""
        self.started.put(request)
        assert self.gate.wait(DEADLINE_S)
        if self.is_broken:
            raise ZeroDivisionError
        if self.refused is not None and self.refused in request:
            raise PermanentExportError("INVALID_ARGUMENT", "no")
        return super().export(request, timeout_ns)

    def wait_for_start(self) -> bytes:
        """Return the next export that began, once it has."""
        return self.started.get(timeout=DEADLINE_S)


def wait_until(condition: Callable[[], object], deadline_s: float = DEADLINE_S) -> None:
    """Wait until `condition()` is true."""
    pause = threading.Event()
    for _ in range(int(deadline_s / 0.01)):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("did not happen in time")
