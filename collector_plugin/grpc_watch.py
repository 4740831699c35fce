"""Watches the messages that the gRPC receiver reads, and ends those that take too long, too many, or too much memory.

gRPC has no deadline for a client that sends half a message and then nothing, and reserves no memory for it. All that
is known of a message on its way is its age, so the oldest go: an honest client's is there in milliseconds.
"""

import enum
import threading
import time
from collections.abc import Callable
from typing import Protocol

from collector_plugin.admission import Admission
from collector_plugin.allocator import give_back_free_memory
from collector_plugin.grpc_reads import Reads
from collector_plugin.process_memory import read_resident_bytes
from collector_plugin.read_ceiling import Level, Memory, ReadCeiling
from hopspan.counters import Counters

MAX_READ_NS = 30 * 10**9
"""What one message may take to come: what the HTTP receivers give a body that makes no progress."""

MAX_READS = 512
"""Messages that may be on their way at once: each holds some 64 KiB as long as it comes."""

INTERVAL_S = 0.01
"""Between two looks: at half a gigabyte a second 5 MB."""

CROWD = 3
"""Messages on their way from which there is something to see. Whoever begins one more looks too, since among many
threads the watching one is late."""

IDLE_S = 0.1
"""Between two looks while there are fewer."""

PATIENCE_NS = 100 * 10**6
"""What a message may take while memory is short: 4 MiB at a third of a gigabit a second."""

PENALTY_NS = 10 * 10**9
"""How long a connection begins nothing after one of its messages was ended for its memory."""

QUIET_LOOKS = 10
"""Without an unfinished message, after an alarm, until memory is taken for what is there without requests: what was
ended is freed a little later."""

MAX_OFFENDERS = 4096
"""Connections that are remembered for that; the first go first."""


class EndReason(enum.StrEnum):
    """Why a request was ended before its message was there."""

    TOO_LONG = "body_timeout"
    TOO_MANY = "read_limit"
    MEMORY = "memory_limit"


class Call(Protocol):
    """A request of gRPC, as far as it is watched."""

    def peer(self) -> str:
        """Return the client's address and port."""

    def cancel(self) -> object:
        """End the request."""


class ReadWatch:
    """The messages that are being read, and the thread that watches them."""

    def __init__(self, admission: Admission, message_bytes: int, read_stored_bytes: Callable[[], int]) -> None:
        """Let messages of up to `message_bytes` share the budget of `admission`.

        `read_stored_bytes` tells what the process remembers besides requests, which grows by itself.
        """
        self.reads: Reads[Call] = Reads()
        self._is_alarmed = False
        self._looking = threading.Lock()
        self._looked_ns = 0
        self._ended = Counters(EndReason)
        self._admission = admission
        self._read_stored_bytes = read_stored_bytes
        self._ceiling = ReadCeiling(admission.budget_bytes, message_bytes)
        self._level = Level.LOW
        self.has_room = True
        """Whether another message may begin."""
        self._quiet_looks = 0
        self._offenders: dict[str, int] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otlp-watch", daemon=True)

    def start(self) -> None:
        """Begin to watch: what the process has now is there without requests."""
        self._ceiling.learn(self._read_memory())
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer."""
        self._stopping.set()

    def count_ends(self) -> dict[str, int]:
        """Return how many requests were ended, by the reason."""
        return {reason.value: count for reason, count in self._ended.read().items()}

    def begin(self, call: Call, now_ns: int) -> int | None:
        """Remember a message that is to be read from now on; return its number, or None where it must not begin.

        What nobody reads takes 64 KiB.
        """
        if self.reads.count >= CROWD and now_ns - self._looked_ns >= INTERVAL_S * 1e9:
            self.look(now_ns)
        if self._is_alarmed and (not self.has_room or self.is_offender(call)):
            return None
        return self.reads.begin(call, now_ns)

    def is_offender(self, call: Call) -> bool:
        """Tell whether the call's connection has to wait for good, whatever room there is."""
        return self._is_alarmed and call.peer() in self._offenders

    def look(self, now_ns: int) -> None:
        """End what has to be ended now, unless another thread is at it."""
        if self._looking.acquire(blocking=False):
            try:
                self._looked_ns = now_ns
                self._end_what_must(now_ns)
            finally:
                self._looking.release()

    def _end_what_must(self, now_ns: int) -> None:
        self._end(EndReason.TOO_LONG, self.reads.take_begun_by(now_ns - MAX_READ_NS))
        self._end(EndReason.TOO_MANY, self.reads.take_longest(self.reads.count - MAX_READS))
        self._forget_offenders(now_ns)
        self._level = self._judge()
        if self._level is not Level.LOW:
            # What was freed lies within the allocator, and would be taken for what is held.
            give_back_free_memory()
            self._level = self._judge()
        if self._level is not Level.LOW:
            slow = self.reads.take_begun_by(now_ns - PATIENCE_NS)
            for call in slow:
                self._offenders[call.peer()] = now_ns + PENALTY_NS
            self._end(EndReason.MEMORY, slow)
        if self._level is Level.FULL:
            # Half: what is young may be anybody's, and in some looks nearly all are gone.
            self._end(EndReason.MEMORY, self.reads.take_longest((self.reads.count + 1) // 2))
        is_short = self._level is not Level.LOW
        self._is_alarmed = is_short or bool(self._offenders)
        self.has_room = not is_short

    def _judge(self) -> Level:
        memory = self._read_memory()
        self._quiet_looks = 0 if memory.unfinished else self._quiet_looks + 1
        if not self._is_alarmed:
            self._ceiling.learn(memory)
        elif self._quiet_looks >= QUIET_LOOKS:
            self._quiet_looks = 0
            give_back_free_memory()
            self._ceiling.learn(self._read_memory())
        if not self._is_alarmed and not self._ceiling.can_be_reached(memory.unfinished):
            return Level.LOW
        return self._ceiling.judge(memory)

    def _read_memory(self) -> Memory:
        # Counted before the memory is looked at: what begins meanwhile has little yet.
        unfinished, held_bytes = self.reads.count, self._admission.held_bytes
        return Memory(read_resident_bytes(), self._read_stored_bytes(), held_bytes, unfinished)

    def _end(self, reason: EndReason, calls: list[Call]) -> None:
        for call in calls:
            call.cancel()
        self._ended.add(reason, len(calls))

    def _forget_offenders(self, now_ns: int) -> None:
        for peer, until_ns in list(self._offenders.items()):
            if until_ns > now_ns and len(self._offenders) <= MAX_OFFENDERS:
                return
            del self._offenders[peer]

    def _run(self) -> None:
        while not self._stopping.wait(INTERVAL_S if self._is_alarmed or self.reads.count >= CROWD else IDLE_S):
            self.look(time.monotonic_ns())
