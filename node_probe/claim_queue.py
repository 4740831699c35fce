"""The claims that came from plugins and that the agent has not looked at yet: bounded, what has no room is counted.

Pure but for the lock, since one thread for each plugin adds and the agent's takes.
"""

import threading
from collections import deque

from hopspan.counters import Counters
from hopspan.flow_claims import Batch, Claim
from node_probe.counters import ClaimOutcome

MAX_CLAIMS = 10_000
"""Some 4 MB; the agent looks ten times a second."""


class ClaimQueue:
    """Claims in the order of their arrival."""

    def __init__(self, outcomes: Counters[ClaimOutcome]) -> None:
        """Count there what is let go."""
        self._claims: deque[Claim] = deque()
        self._outcomes = outcomes
        self._lock = threading.Lock()

    def add(self, batch: Batch) -> None:
        """Take a batch, as far as there is room."""
        with self._lock:
            room = MAX_CLAIMS - len(self._claims)
            self._claims.extend(batch.claims[:room])
        self._outcomes.add(ClaimOutcome.QUEUE_FULL, max(0, len(batch.claims) - room))
        self._outcomes.add(ClaimOutcome.NOT_UNDERSTOOD, batch.unknown)

    def take(self, limit: int) -> list[Claim]:
        """Remove and return up to `limit` claims, oldest first."""
        with self._lock:
            return [self._claims.popleft() for _ in range(min(limit, len(self._claims)))]
