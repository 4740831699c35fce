"""Who had an address when: an address is a pod's for a time, and another's after it.

Pure: no clock, no lock. One thread at a time changes the table; others may look things up meanwhile, for what they
find is never changed but for its end. Times are epoch nanoseconds.
"""

import collections
import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collector_plugin.network_span import Attributes

FOREVER = (1 << 63) - 1
"""The end of what has not ended."""


class Lookup(enum.StrEnum):
    """How the search for an address's name can end."""

    NAMED = "named"
    UNKNOWN = "unknown"
    OTHER_TIME = "other_time"
    AMBIGUOUS = "ambiguous"
    STALE = "stale"


class Freshness:
    """How far into time what one watch told is known to be true."""

    __slots__ = ("until_ns",)

    def __init__(self) -> None:
        """Know nothing."""
        self.until_ns = 0


class Tenure:
    """The time in which an address was one pod's, one service's or one node's; what is empty is not known."""

    __slots__ = (
        "described",
        "end_ns",
        "freshness",
        "generation",
        "labels",
        "namespace",
        "node",
        "pod",
        "service",
        "start_ns",
    )

    def __init__(self, freshness: Freshness, start_ns: int) -> None:
        """Begin at `start_ns`, as long as `freshness` says."""
        self.freshness = freshness
        self.start_ns = start_ns
        self.end_ns = FOREVER
        self.namespace = self.pod = self.service = self.node = ""
        self.labels: frozenset[tuple[str, str]] = frozenset()
        """Of a pod: they tell the service that it stands behind."""
        self.generation = -1
        """Of the services that `described` was made with."""
        self.described: tuple[tuple[Attributes], tuple[Attributes]] | None = None
        """What spans say of it as their source and as their destination, made when it is first asked for."""


class TenureTable:
    """All tenures by address (16 bytes), those that ended of late among them."""

    def __init__(self, keep_ns: int) -> None:
        """Keep what ended for `keep_ns` more."""
        self.ended_count = 0
        self._keep_ns = keep_ns
        self.by_address: dict[bytes, tuple[Tenure, ...]] = {}
        """The tuple is another one once anything about an address has changed."""
        self._ended: collections.deque[tuple[int, bytes, Tenure]] = collections.deque()

    def add(self, address: bytes, tenure: Tenure) -> None:
        """Enter the tenure of an address."""
        self.by_address[address] = (*self.by_address.get(address, ()), tenure)

    def end(self, address: bytes, tenure: Tenure, end_ns: int, now_ns: int) -> None:
        """End a tenure at `end_ns`, unless it has ended before."""
        if tenure.end_ns == FOREVER:
            tenure.end_ns = end_ns
            self._ended.append((now_ns, address, tenure))
            self.ended_count += 1
            self.renew(address)

    def renew(self, address: bytes) -> None:
        """Let others see that a tenure of an address has changed."""
        self.by_address[address] = (*self.by_address[address],)

    def expire(self, now_ns: int) -> None:
        """Forget what ended long ago."""
        while self._ended and self._ended[0][0] + self._keep_ns <= now_ns:
            _, address, tenure = self._ended.popleft()
            self.ended_count -= 1
            left = tuple(one for one in self.by_address[address] if one is not tenure)
            if left:
                self.by_address[address] = left
            else:
                del self.by_address[address]


def find_owner(tenures: tuple[Tenure, ...] | None, at_ns: int) -> Tenure | Lookup:
    """Return who of those that had an address had it at the time, or why that is not known."""
    if tenures is None:
        return Lookup.UNKNOWN
    found: Tenure | None = None
    for tenure in tenures:
        if tenure.start_ns <= at_ns < tenure.end_ns:
            if found is not None:
                return Lookup.AMBIGUOUS
            found = tenure
    if found is None:
        return Lookup.OTHER_TIME
    # What was not heard of since may have ended, and the address may be another's.
    return found if at_ns <= found.freshness.until_ns else Lookup.STALE
