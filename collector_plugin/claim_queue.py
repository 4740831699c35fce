"""The claims that wait for one agent: encoded, in order, bounded in number and in age.

Pure: `now_ns` is a parameter.
"""

import collections

import msgspec

from hopspan.flow_claims import MAX_BATCH_CLAIMS

MAX_QUEUED = 10_000
"""Claims that wait for one agent: a second of what one core of it answers."""

CLAIM_NS = 10 * 10**9
"""How long a claim is of use. Agents keep packets for a minute, but what is emitted late is found by nobody."""

CLAIM_BYTES = 200
"""What a claim that waits takes, measured: the object, its bytes, and its place in a queue."""

PLACE_BYTES = 8
"""What the place takes alone, of one that waits for all agents."""


class WaitingClaim(msgspec.Struct, frozen=True, gc=False):
    """A claim that may wait in several queues."""

    entry: bytes
    due_ns: int
    """When it is of no use any more."""
    is_for_all: bool


class ClaimQueue:
    """The claims of one agent, the oldest first."""

    def __init__(self) -> None:
        """Start empty."""
        self._claims: collections.deque[WaitingClaim] = collections.deque()
        self._own = 0

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._claims)

    @property
    def size_bytes(self) -> int:
        """Return the memory that they take beside those that wait for all, estimated."""
        return CLAIM_BYTES * self._own + PLACE_BYTES * len(self._claims)

    def add(self, claim: WaitingClaim) -> bool:
        """Add a claim; return whether there was room, else the oldest went."""
        is_full = len(self._claims) >= MAX_QUEUED
        if is_full:
            self._pop()
        self._claims.append(claim)
        self._own += not claim.is_for_all
        return not is_full

    def drop_due(self, now_ns: int) -> int:
        """Remove what is of no use any more; return how many that were."""
        count = 0
        while self._claims and self._claims[0].due_ns <= now_ns:
            self._pop()
            count += 1
        return count

    def take(self) -> list[bytes]:
        """Remove and return the entries of one batch."""
        return [self._pop().entry for _ in range(min(len(self._claims), MAX_BATCH_CLAIMS))]

    def _pop(self) -> WaitingClaim:
        claim = self._claims.popleft()
        self._own -= not claim.is_for_all
        return claim
