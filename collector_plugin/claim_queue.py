"""The claims that wait for one agent: encoded, in order, bounded in number and in age.

Pure: `now_ns` is a parameter.
"""

import collections

from hopspan.flow_claims import MAX_BATCH_CLAIMS

MAX_QUEUED = 10_000
"""Claims that wait for one agent, 2 MB: a second of what one core of it answers."""

CLAIM_NS = 10 * 10**9
"""How long a claim is of use. Agents keep packets for a minute, but what is emitted late is found by nobody."""


class ClaimQueue:
    """The claims of one agent, the oldest first."""

    def __init__(self) -> None:
        """Start empty."""
        self._entries: collections.deque[tuple[int, bytes]] = collections.deque()

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._entries)

    def add(self, entry: bytes, due_ns: int) -> bool:
        """Add an entry that is of use until `due_ns`; return whether there was room, else the oldest went."""
        is_full = len(self._entries) >= MAX_QUEUED
        if is_full:
            self._entries.popleft()
        self._entries.append((due_ns, entry))
        return not is_full

    def drop_due(self, now_ns: int) -> int:
        """Remove what is of no use any more; return how many that were."""
        count = 0
        while self._entries and self._entries[0][0] <= now_ns:
            self._entries.popleft()
            count += 1
        return count

    def take(self) -> list[bytes]:
        """Remove and return the entries of one batch."""
        entries = self._entries
        return [entries.popleft()[1] for _ in range(min(len(entries), MAX_BATCH_CLAIMS))]
