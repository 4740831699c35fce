"""When a connection has taken too long: a deadline for each phase that a client can draw out.

Pure: time comes as a parameter. A client that is too slow is not answered: OTLP has a 408 never repeated, and a
connection that ends without an answer is.
"""

import enum

import msgspec

BODY_PAUSE_NS = 30 * 10**9
"""Without a byte of the body. OTLP's exporters give up after ten seconds, so whoever still waits is not one."""

BODY_TOTAL_NS = 120 * 10**9
"""For the whole body: 16 MiB at 140 kB/s."""

BODY_SHORT_NS = 2 * 10**9
"""For the whole body while others find no room: else one client, with a few large bodies that stop before their end,
would hold all there is for as long as a body may pause."""

IDLE_NS = 120 * 10**9
"""Between requests: longer than Go's clients keep a connection (90 s), so that it is they who end it and no request
meets a connection that is being closed."""

WRITE_NS = 30 * 10**9
"""For taking an answer, which is small."""


class Phase(enum.StrEnum):
    """What a connection waits for; the value is the reason when it is closed for that."""

    HEAD = "head_timeout"
    BODY = "body_timeout"
    SHORT = "no_room_timeout"
    """As BODY, while others found no room."""
    ANSWER = "answer_timeout"
    IDLE = "idle_timeout"


class Deadlines(msgspec.Struct, frozen=True):
    """How long each phase may last, in nanoseconds."""

    head_ns: int
    body_pause_ns: int = BODY_PAUSE_NS
    body_total_ns: int = BODY_TOTAL_NS
    body_short_ns: int = BODY_SHORT_NS
    idle_ns: int = IDLE_NS
    write_ns: int = WRITE_NS


class ConnectionGuard:
    """The phase of one connection, and until when it may last. A new connection waits for a head."""

    def __init__(self, deadlines: Deadlines, now_ns: int) -> None:
        """Wait for the first head, from its first byte or none."""
        self.phase = Phase.HEAD
        self._deadlines = deadlines
        self._due_ns: int | None = now_ns + deadlines.head_ns
        self._body_due_ns = 0
        self._body_short_ns = 0
        self._write_due_ns: int | None = None

    def begin_head(self, now_ns: int) -> None:
        """The first byte of a head came. Of the very first one the time runs since the connection was made."""
        if self.phase is not Phase.HEAD:
            self.phase, self._due_ns = Phase.HEAD, now_ns + self._deadlines.head_ns

    def begin_body(self, now_ns: int) -> None:
        """The head is complete."""
        self.phase = Phase.BODY
        self._body_due_ns = now_ns + self._deadlines.body_total_ns
        self._body_short_ns = now_ns + self._deadlines.body_short_ns
        self.continue_body(now_ns)

    def continue_body(self, now_ns: int) -> None:
        """A part of the body came."""
        self._due_ns = min(now_ns + self._deadlines.body_pause_ns, self._body_due_ns)

    def end_request(self, now_ns: int, *, is_answered: bool) -> None:
        """The request is complete. How long its answer takes is not the client's doing."""
        self.phase, self._due_ns = Phase.ANSWER, None
        if is_answered:
            self.begin_idle(now_ns)

    def begin_idle(self, now_ns: int) -> None:
        """All requests are answered. Has no effect while another one comes in."""
        if self.phase is Phase.ANSWER:
            self.phase, self._due_ns = Phase.IDLE, now_ns + self._deadlines.idle_ns

    def stop_writing(self, now_ns: int) -> None:
        """The client takes no more of what it is sent, or has to take the last of it. May be told again."""
        if self._write_due_ns is None:
            self._write_due_ns = now_ns + self._deadlines.write_ns

    def resume_writing(self) -> None:
        """It does again."""
        self._write_due_ns = None

    def find_overdue(self, now_ns: int, *, is_short: bool = False) -> Phase | None:
        """Return the phase that lasted too long, or None; `is_short` while others find no room for their bodies."""
        if self._write_due_ns is not None and now_ns >= self._write_due_ns:
            return Phase.ANSWER
        if is_short and self.phase is Phase.BODY and now_ns >= self._body_short_ns:
            return Phase.SHORT
        return self.phase if self._due_ns is not None and now_ns >= self._due_ns else None
