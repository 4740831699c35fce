"""Keeps the books of HTTP/2 calls while probes run: what passed the tape, what a sink got, what probes counted."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from testbed.deadline import wait_until
from testbed.topology import NODES
from tests.peers.http2_accounts import TOO_MANY, Balance, Context, Passage, balance, list_passages
from tests.testbed.accounts import SETTLE_TIMEOUT_S, Counts, read_settled_counts
from tests.testbed.arrivals import Arrival, read_arrivals
from tests.testbed.otlp_peer import OtlpPeer
from tests.testbed.tape import Segment, Tape

DIFFERENCES = 11
"""As many are shown of those that there are."""


@dataclass(frozen=True)
class Story:
    """What became of some calls: their messages on the wire, and what each probe counted meanwhile, by node name."""

    made: frozenset[Context]
    passages: tuple[Passage, ...]
    balance: Balance
    counts: dict[str, Counts]

    @property
    def messages(self) -> Counter[Context]:
        """Return how many first points each call's messages met: four, with the response, between two nodes."""
        return Counter(passage.told.context for passage in self.passages)

    def check_missed_are_counted(self) -> None:
        """Check that each probe has counted why it has not measured what it missed."""
        missed = Counter((passage.told.node, passage.excuse) for passage in self.balance.lacking)
        for (node, excuse), number in missed.items():
            # Too many are counted once for a segment, the others each.
            assert self.counts[node][excuse] >= (1 if excuse == TOO_MANY else number)


class Books:
    """Opened before a story, and closed behind it."""

    def __init__(self, tape: Tape, sink: OtlpPeer) -> None:
        self._tape = tape
        self._sink = sink
        self._segments: list[Segment] = []
        self._seen = 0
        self._before: dict[str, Counts] = {}

    def open(self) -> None:
        """Begin, when nothing is on its way any more."""
        self._before = _read_counts()
        self._seen = len(self._sink.groups)

    def read_tape(self) -> list[Segment]:
        """Return all that was taped so far: a decoder needs connections from their beginning."""
        self._segments += self._tape.take()
        return self._segments

    def close(self, made: Collection[Context]) -> Story:
        """Return what became of these calls; fails where those who tell of them disagree."""
        counts, arrivals = self._settle()
        taped = self.read_tape()
        passages = tuple(one for one in list_passages(taped) if one.told.context in made)
        found = balance(made, passages, arrivals, taped)
        shown = "\n".join(found.differences[:DIFFERENCES])
        assert not found.differences, f"{len(found.differences)} differences\n{shown}\n{counts}"
        return Story(frozenset(made), passages, found, counts)

    def _settle(self) -> tuple[dict[str, Counts], list[Arrival]]:
        """Wait until all that was started has come, however late it was, and return counts and transits."""
        read: list[tuple[dict[str, Counts], list[Arrival]]] = []

        def is_settled() -> bool:
            counts = {name: after - self._before[name] for name, after in _read_counts().items()}
            arrivals = read_arrivals(self._sink.groups[self._seen :])
            read.append((counts, arrivals))
            return sum(after["transits_started"] for after in counts.values()) == len(arrivals)

        wait_until(is_settled, "not all transits that were started came", SETTLE_TIMEOUT_S)
        return read[-1]


def _read_counts() -> dict[str, Counts]:
    return {node.name: read_settled_counts(node) for node in NODES}
