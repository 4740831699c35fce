"""Structured logs: one JSON object per line on stderr, with repeats of trouble held back.

What varies (names, ids, counts) goes into fields, the message is a constant sentence; never payload bytes, header
values or credentials. The only module that imports logging, to catch what libraries say.
"""

import collections
import json
import logging
import sys
import threading
import time
from datetime import UTC, datetime
from typing import TextIO

from hopspan.settings import LogLevel

REPEAT_INTERVAL_NS = 5 * 10**9
"""The same trouble is told at most every 5 s: in a hot path it shows at once and floods nobody. Events are all told,
since the last of them is how things are."""

MAX_MESSAGES = 1_000
"""Distinct messages remembered for that. Ours are constants; a library's may hold anything."""

_RANKS = {level: rank for rank, level in enumerate(LogLevel)}

Field = str | int | float | bool | None


class RepeatGate:
    """Decides which repeats are written, and counts the others. Reads no clock."""

    def __init__(self, interval_ns: int = REPEAT_INTERVAL_NS) -> None:
        """Let each message through once per interval."""
        self._interval_ns = interval_ns
        self._open: collections.OrderedDict[str, tuple[int, int]] = collections.OrderedDict()

    def admit(self, message: str, now_ns: int) -> int | None:
        """Return how many repeats were held back since the message was last admitted, None to hold back this one."""
        last_ns, held_back = self._open.get(message, (now_ns - self._interval_ns, 0))
        if now_ns - last_ns < self._interval_ns:
            self._open[message] = (last_ns, held_back + 1)
            return None
        self._open[message] = (now_ns, 0)
        self._open.move_to_end(message)
        if len(self._open) > MAX_MESSAGES:
            self._open.popitem(last=False)
        return held_back

    def take_held_back(self) -> list[tuple[str, int]]:
        """Return and forget what is still held back: (message, repeats)."""
        left = [(message, held_back) for message, (_, held_back) in self._open.items() if held_back]
        self._open.clear()
        return left


class Log:
    """Writes log lines. Safe to use from several threads; a closed stderr silences it and stops nothing."""

    def __init__(self, level: LogLevel = LogLevel.INFO, stream: TextIO | None = None) -> None:
        """Write lines of `level` and above to `stream`, by default the stderr of this moment."""
        self._rank = _RANKS[level]
        self._stream = sys.stderr if stream is None else stream
        self._gate = RepeatGate()
        self._lock = threading.Lock()

    def debug(self, message: str, **fields: Field) -> None:
        """Write what only an investigation needs."""
        self._write(LogLevel.DEBUG, message, fields)

    def info(self, message: str, **fields: Field) -> None:
        """Write what happened: start, stop, attached, detached. Never held back."""
        self._write(LogLevel.INFO, message, fields)

    def warn(self, message: str, **fields: Field) -> None:
        """Write what is lost or late while the program goes on."""
        self._write(LogLevel.WARN, message, fields)

    def error(self, message: str, **fields: Field) -> None:
        """Write what ends the program, or needs a person."""
        self._write(LogLevel.ERROR, message, fields)

    def close(self) -> None:
        """Write how many repeats were held back and never told."""
        with self._lock:
            left = self._gate.take_held_back()
        for message, held_back in left:
            self._write(LogLevel.INFO, message, {"suppressed": held_back})

    def _write(self, level: LogLevel, message: str, fields: dict[str, Field]) -> None:
        if _RANKS[level] < self._rank:
            return
        with self._lock:
            is_trouble = level in (LogLevel.WARN, LogLevel.ERROR)
            held_back = self._gate.admit(message, time.monotonic_ns()) if is_trouble else 0
            if held_back is None:
                return
            time_text = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            line: dict[str, Field] = {"time": time_text, "level": level.value, "message": message, **fields}
            if held_back:
                line["suppressed"] = held_back
            try:
                self._stream.write(json.dumps(line, default=str) + "\n")
                self._stream.flush()
            except (OSError, ValueError):
                # The reader of our stderr is gone; spans matter more than what we say about them.
                return


class LibraryHandler(logging.Handler):
    """Passes what libraries log (grpc: a failed handler) on to a Log, at WARNING and above."""

    def __init__(self, log: Log) -> None:
        """Write to `log`."""
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record's first line and the type of its exception, never a traceback's values."""
        exception = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        first_line = record.getMessage().partition("\n")[0]
        self._log.warn("a library reports", library=record.name, text=first_line, exception=exception)


def catch_library_logs(log: Log) -> LibraryHandler:
    """Send the root logger's records to `log`; returns the handler, for whoever wants to remove it again."""
    handler = LibraryHandler(log)
    logging.getLogger().addHandler(handler)
    return handler
