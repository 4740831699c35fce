"""The bytes that requests may hold at once: taken before a body is read, given back when it is answered.

Without it memory would be spent before anything could refuse. Safe to use from several threads; waits for nothing.
"""

import threading

BUDGET_BYTES = 64 << 20
"""64 MiB for all receivers: OTLP's suggested largest request, or a thousand of a Collector's batches."""


class Admission:
    """A budget of bytes, shared by all receivers."""

    def __init__(self, budget_bytes: int = BUDGET_BYTES) -> None:
        """Let requests hold up to `budget_bytes` together."""
        self.budget_bytes = budget_bytes
        self._lock = threading.Lock()
        self._held_bytes = 0
        self._refused = 0

    @property
    def held_bytes(self) -> int:
        """What requests hold now."""
        return self._held_bytes

    @property
    def refused(self) -> int:
        """How often there was no room, since the start."""
        return self._refused

    def can_ever_fit(self, count_bytes: int) -> bool:
        """Return whether a request of so many bytes would be let in if it were alone."""
        return count_bytes <= self.budget_bytes

    def has_room(self, count_bytes: int) -> bool:
        """Return whether so many bytes could be taken now, and count a refusal where not."""
        with self._lock:
            has_room = self._held_bytes + count_bytes <= self.budget_bytes
            self._refused += not has_room
            return has_room

    def take(self, count_bytes: int) -> bool:
        """Take bytes out of the budget; False, counted and without effect, where it has no room for all of them."""
        with self._lock:
            if self._held_bytes + count_bytes > self.budget_bytes:
                self._refused += 1
                return False
            self._held_bytes += count_bytes
            return True

    def give_back(self, count_bytes: int) -> None:
        """Return bytes to the budget: exactly what was taken."""
        with self._lock:
            self._held_bytes -= count_bytes


class Reservation:
    """What one request holds of the budget. For one thread at a time, but for `release`."""

    def __init__(self, admission: Admission) -> None:
        """Hold nothing yet."""
        self.admission = admission
        self._lock = threading.Lock()
        self._held_bytes = 0
        self._is_released = False

    @property
    def held_bytes(self) -> int:
        """What the request holds now."""
        return self._held_bytes

    def grow(self, count_bytes: int) -> bool:
        """Hold so many bytes more; False where there is no room, or where all was released meanwhile."""
        with self._lock:
            if self._is_released or not self.admission.take(count_bytes):
                return False
            self._held_bytes += count_bytes
            return True

    def shrink(self, count_bytes: int) -> None:
        """Hold so many bytes less, of those that it grew by; without effect where all was released meanwhile."""
        with self._lock:
            if self._is_released:
                return
            self._held_bytes -= count_bytes
        self.admission.give_back(count_bytes)

    def release(self) -> None:
        """Hold nothing from now on. A second call has no effect, so that every way out of a request may call it."""
        with self._lock:
            held_bytes, self._held_bytes, self._is_released = self._held_bytes, 0, True
        self.admission.give_back(held_bytes)
