"""What is claimed from which agent: flows that CLIENT spans name, and packets that another node has answered with.

Pure: no IO, no lock; `now_ns` is any clock that never steps. A claim goes to the agent that answered for the address
before, else to all of them. Every claim that reaches no agent is counted under a ClaimReason.
"""

import collections
from collections.abc import Iterable, Sequence

import msgspec

from collector_plugin.claim_queue import CLAIM_BYTES, CLAIM_NS, MAX_QUEUED, ClaimQueue, WaitingClaim
from collector_plugin.flow_answers import Answer, read_answer
from collector_plugin.known_addresses import KnownAddresses
from collector_plugin.reasons import ClaimReason
from hopspan.flow_claims import Claim, IntervalClaim, encode_claim, join_entries
from node_probe.wire_batch import RawTransit

MAX_TO_ALL_PER_S = 5_000
"""Claims that go to all agents: as many as a busy cluster makes before its addresses are learnt."""

MAX_SEEN = 65_536
"""Messages whose far side was claimed already: ten seconds at 6,000 a second, 130 bytes each."""

_SECOND_NS = 10**9


class ClaimCounts(msgspec.Struct):
    """What became of claims, from the start on."""

    intervals: int = 0
    """Flows claimed, each counted once whoever is asked."""
    exacts: int = 0
    """Packets claimed on the far side, likewise."""
    to_known: int = 0
    """Entries for the one agent that is known to have the address."""
    to_all: int = 0
    """Entries for each of the others."""
    answers: int = 0
    """Transits that answered."""
    dropped: dict[ClaimReason, int] = msgspec.field(default_factory=lambda: dict.fromkeys(ClaimReason, 0))


class _Recent(msgspec.Struct, gc=False):
    claim: WaitingClaim
    is_given: bool


class ClaimBook:
    """The claims of all agents, by the number of an agent's stream."""

    def __init__(self) -> None:
        """Start without agents."""
        self.counts = ClaimCounts()
        self.addresses = KnownAddresses()
        self._queues: dict[int, ClaimQueue] = {}
        self._nodes: dict[str, int] = {}
        self._recent: collections.deque[_Recent] = collections.deque()
        self._seen: collections.OrderedDict[bytes, None] = collections.OrderedDict()
        self._left, self._filled_ns = MAX_TO_ALL_PER_S, 0

    @property
    def agent_count(self) -> int:
        """Return how many agents are connected."""
        return len(self._queues)

    @property
    def waiting_count(self) -> int:
        """Return how many entries wait for agents to take them."""
        return sum(map(len, self._queues.values()))

    @property
    def size_bytes(self) -> int:
        """Return the memory that claims take which wait, estimated."""
        return CLAIM_BYTES * len(self._recent) + sum(queue.size_bytes for queue in self._queues.values())

    def add_agent(self, number: int, node: str) -> int | None:
        """Let an agent take claims; return the number of its node's former stream, which it replaces.

        First it gets what all were asked lately: where the plugin was away, agents come back one after the other.
        """
        former = self._nodes.get(node)
        if former is not None:
            self.remove_agent(former)
        self._nodes[node] = number
        queue = self._queues[number] = ClaimQueue()
        for recent in self._recent:
            recent.is_given = True
            self._enter(queue, recent.claim)
        return former

    def remove_agent(self, number: int) -> None:
        """Forget an agent, and what waited for it."""
        queue = self._queues.pop(number, None)
        if queue is not None:
            self.counts.dropped[ClaimReason.EXPIRED] += len(queue)
            self._nodes = {node: other for node, other in self._nodes.items() if other != number}

    def add_spans(self, spans: Iterable[IntervalClaim | ClaimReason], now_ns: int) -> None:
        """Claim the flows of CLIENT spans; a reason stands for one that names none."""
        counts = self.counts
        for span in spans:
            if isinstance(span, ClaimReason):
                counts.dropped[span] += 1
                continue
            counts.intervals += 1
            number = self._find_agent(span.client_address, now_ns)
            if number is not None:
                self._give(number, span, now_ns)
            elif not self.addresses.may_ask_all(span.client_address, now_ns):
                counts.dropped[ClaimReason.UNANSWERED] += 1
            else:
                self._give_all(span, now_ns)

    def add_answers(self, node: str, transits: Sequence[RawTransit], now_ns: int) -> None:
        """Learn from what a node answered, and claim the far side of what was on the wire."""
        for raw in transits:
            answer = read_answer(raw)
            if answer is None:
                continue
            self.counts.answers += 1
            if answer.own_address is not None:
                self.addresses.learn(answer.own_address, node, now_ns)
            if answer.far_claim is not None and self._see(answer.key):
                self._claim_far_side(answer, node, now_ns)

    def take(self, number: int, now_ns: int) -> bytes | None:
        """Return the next batch for an agent, None where nothing waits for it."""
        queue = self._queues.get(number)
        if queue is None:
            return None
        self.counts.dropped[ClaimReason.EXPIRED] += queue.drop_due(now_ns)
        entries = queue.take()
        return join_entries(entries) if entries else None

    def count_waiting(self, number: int) -> int:
        """Return how many entries wait for an agent."""
        queue = self._queues.get(number)
        return len(queue) if queue is not None else 0

    def expire(self, now_ns: int) -> None:
        """Drop what is of no use any more."""
        for queue in self._queues.values():
            self.counts.dropped[ClaimReason.EXPIRED] += queue.drop_due(now_ns)
        while self._recent and self._recent[0].claim.due_ns <= now_ns:
            self._forget_recent()

    def _claim_far_side(self, answer: Answer, node: str, now_ns: int) -> None:
        assert answer.far_claim is not None
        self.counts.exacts += 1
        number = self._find_agent(answer.far_address, now_ns)
        if number is not None and number != self._nodes.get(node):
            self._give(number, answer.far_claim, now_ns)
        else:
            self._give_all(answer.far_claim, now_ns, but=self._nodes.get(node))

    def _find_agent(self, address: bytes, now_ns: int) -> int | None:
        node = self.addresses.find(address, now_ns)
        return self._nodes.get(node) if node is not None else None

    def _give(self, number: int, claim: Claim, now_ns: int) -> None:
        self.counts.to_known += 1
        waiting = WaitingClaim(encode_claim(claim), now_ns + CLAIM_NS, is_for_all=False)
        self._enter(self._queues[number], waiting)

    def _give_all(self, claim: Claim, now_ns: int, but: int | None = None) -> None:
        if not self._may_give_all(now_ns):
            self.counts.dropped[ClaimReason.FLOOD] += 1
            return
        waiting = WaitingClaim(encode_claim(claim), now_ns + CLAIM_NS, is_for_all=True)
        others = [queue for number, queue in self._queues.items() if number != but]
        for queue in others:
            self.counts.to_all += 1
            self._enter(queue, waiting)
        self._recent.append(_Recent(waiting, bool(others)))
        if len(self._recent) > MAX_QUEUED:
            self._forget_recent()

    def _may_give_all(self, now_ns: int) -> bool:
        if now_ns - self._filled_ns >= _SECOND_NS:
            self._left, self._filled_ns = MAX_TO_ALL_PER_S, now_ns
        self._left -= 1
        return self._left >= 0

    def _enter(self, queue: ClaimQueue, claim: WaitingClaim) -> None:
        if not queue.add(claim):
            self.counts.dropped[ClaimReason.QUEUE_FULL] += 1

    def _forget_recent(self) -> None:
        if not self._recent.popleft().is_given:
            self.counts.dropped[ClaimReason.NO_AGENT] += 1

    def _see(self, key: bytes) -> bool:
        """Remember a message; return whether it is new."""
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > MAX_SEEN:
            self._seen.popitem(last=False)
        return True
