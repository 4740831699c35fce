"""Reads what is added to the plugin's trace file, a whole line at a time. The only module here that reads spans."""

from pathlib import Path

from traceview.otlp_json import read_spans
from traceview.span import Span
from traceview.tree import Trace, group_traces


class TraceTail:
    """The traces of a run: those whose spans came since the run began."""

    def __init__(self, path: Path) -> None:
        """Begin with what is added from now on; the file need not be there yet."""
        self._path = path
        self.start_run()

    def start_run(self) -> None:
        """Forget what came so far, and what is in the file by now."""
        self._offset = self._path.stat().st_size if self._path.exists() else 0
        self._spans = list[Span]()

    def read_traces(self) -> tuple[Trace, ...]:
        """Return the traces that came since the run began."""
        if not self._path.exists():
            return ()
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        self._spans += read_spans(whole.splitlines(keepends=True))
        return group_traces(self._spans)
