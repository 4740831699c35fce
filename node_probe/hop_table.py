"""The hops of one node by pod pair, direction and name: transits in, rows with count, quantiles and attempts out.

Pure. Bounded: beyond MAX_ROWS rows what is new goes to rows for all other pairs together, and an attempt is told from
the message before it only among the last messages, half of MAX_MESSAGES at least.
"""

import itertools
from collections.abc import Callable
from enum import StrEnum

import msgspec

from node_probe.hop_names import name_hop
from node_probe.quantiles import Quantiles
from node_probe.transit import Direction, Transit, attempts_key, message_key

MAX_ROWS = 2000
"""Of 7 KiB each, 14 MiB: over 300 pairs of pods, six hops a pair and node."""

MAX_MESSAGES = 131_072
"""Half of them are 13 s of 5,000 transits a second, in which TCP sends a segment again some six times; 16 MiB."""


class RowKey(msgspec.Struct, frozen=True):
    """Which hops a row sums up."""

    client: bytes
    """The address of the pod that opened the connection, as in a transit. Empty for all other pairs together."""
    server: bytes
    direction: Direction
    hop: str


class Row(msgspec.Struct, frozen=True):
    """One row as it is now."""

    key: RowKey
    count: int
    p50_ns: int
    p99_ns: int
    max_ns: int
    attempts: int
    """Of the count, how many were a second or later attempt of their message: retransmissions."""


class Sort(StrEnum):
    """What the rows may be sorted by: numbers with the greatest first."""

    P99 = "p99"
    P50 = "p50"
    MAX = "max"
    COUNT = "count"
    ATTEMPTS = "attempts"
    PAIR = "pair"


class _Sums:
    __slots__ = ("attempts", "durations")

    def __init__(self) -> None:
        self.durations = Quantiles()
        self.attempts = 0


class HopTable:
    """The rows, and the messages seen last. Used by one thread."""

    def __init__(self, max_rows: int = MAX_ROWS, max_messages: int = MAX_MESSAGES) -> None:
        """Start empty."""
        self.transits = 0
        """Taken since the start or the last `clear`."""
        self._rows: dict[RowKey, _Sums] = {}
        self._newer: set[int] = set()
        self._older: set[int] = set()
        self._max_rows = max_rows
        self._max_newer = max_messages // 2

    def observe(self, transit: Transit) -> None:
        """Take a transit: each two successive stamps are a hop."""
        self.transits += 1
        is_attempt = self._remember(transit)
        for start, stop in itertools.pairwise(transit.stamps):
            hop = name_hop(start.point, stop.point, transit.tunnel)[0]
            sums = self._find_sums(transit, hop)
            sums.durations.add(stop.monotonic_ns - start.monotonic_ns)
            sums.attempts += is_attempt

    def list_rows(self, sort: Sort = Sort.P99) -> list[Row]:
        """Return all rows as they are now, in order."""
        rows = [
            Row(key, s.durations.count, s.durations.read(50), s.durations.read(99), s.durations.max_ns, s.attempts)
            for key, s in sorted(self._rows.items(), key=_get_pair)
        ]
        return sorted(rows, key=_ORDERS[sort])

    def clear(self) -> None:
        """Forget all rows; the messages stay, so that an attempt is known as one."""
        self.transits = 0
        self._rows.clear()

    def _find_sums(self, transit: Transit, hop: str) -> _Sums:
        key = RowKey(transit.client_address, transit.server_address, transit.direction, hop)
        sums = self._rows.get(key)
        if sums is None:
            if len(self._rows) >= self._max_rows:
                key = RowKey(b"", b"", transit.direction, hop)
            sums = self._rows.setdefault(key, _Sums())
        return sums

    def _remember(self, transit: Transit) -> bool:
        # The hash is Python's keyed one of 64 bits: that two of the messages remembered share it is one in 10^9.
        message = hash(attempts_key(message_key(transit)))
        if message in self._newer or message in self._older:
            return True
        if len(self._newer) >= self._max_newer:
            self._older, self._newer = self._newer, set()
        self._newer.add(message)
        return False


def _get_pair(row: tuple[RowKey, _Sums]) -> tuple[bytes, bytes, Direction]:
    # Not by the hop's name: rows are in the order in which they were first met, that of a packet's way.
    return row[0].client, row[0].server, row[0].direction


_ORDERS: dict[Sort, Callable[[Row], int]] = {
    Sort.P99: lambda row: -row.p99_ns,
    Sort.P50: lambda row: -row.p50_ns,
    Sort.MAX: lambda row: -row.max_ns,
    Sort.COUNT: lambda row: -row.count,
    Sort.ATTEMPTS: lambda row: -row.attempts,
    Sort.PAIR: lambda _: 0,
}
