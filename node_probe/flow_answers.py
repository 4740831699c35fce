"""Answers claims by the kept flows: claims in, records that have a context out, and what became of each claim.

Pure; times are CLOCK_MONOTONIC. What cannot be answered yet is tried again: records are read ten times a second, a
far packet may be under way, and that nothing was lost is known a while later.
"""

from collections import deque
from collections.abc import Sequence

import msgspec

from hopspan.flow_claims import ANY_ADDRESS, Claim, ExactClaim, IntervalClaim
from node_probe.claimed_record import ClaimedContext, write_record
from node_probe.counters import ClaimOutcome
from node_probe.epoch_history import EpochHistory
from node_probe.flow_direction import FlowDirection, read_endpoint, write_endpoint
from node_probe.flow_matching import Interval, Match, Verdict, match_interval
from node_probe.kept_flows import KeptFlows
from node_probe.loss_history import LossHistory
from node_probe.seen_bursts import read_direction, starts_here
from node_probe.transit import Direction

RETRY_AFTER_NS = (200_000_000, 500_000_000, 1_300_000_000)
"""How long to wait between the tries of a claim: 2 s in all."""

MAX_WAITING = 10_000
"""Claims that are tried again; beyond it the oldest have their last try early."""

EDGE_NS = 1_000
"""Added on both sides of an interval: spans are often written in microseconds."""

_OUTCOMES = {
    Verdict.AMBIGUOUS: ClaimOutcome.AMBIGUOUS,
    Verdict.INCOMPLETE: ClaimOutcome.INCOMPLETE,
    Verdict.NOTHING: ClaimOutcome.NOT_FOUND,
}
_RETRIED = frozenset(
    {ClaimOutcome.INCOMPLETE, ClaimOutcome.NOT_FOUND, ClaimOutcome.UNKNOWN_FLOW, ClaimOutcome.NO_CLOCK}
)


class Answers(msgspec.Struct):
    """What a round of claims came to."""

    records: list[bytes]
    """With the claims' contexts."""
    outcomes: list[ClaimOutcome]
    """One for each claim that is done with."""


class FlowAnswers:
    """The claims that wait, and what answers them. Used by one thread."""

    def __init__(self, kept: KeptFlows, epochs: EpochHistory, losses: LossHistory) -> None:
        """Answer by what these three know; the caller feeds them."""
        self._kept = kept
        self._epochs = epochs
        self._losses = losses
        self._waiting: tuple[deque[tuple[int, Claim]], ...] = tuple(deque() for _ in RETRY_AFTER_NS)

    def answer(self, claims: Sequence[Claim], now_ns: int) -> Answers:
        """Try new claims, and those whose time has come again."""
        answers = Answers([], [])
        for stage, waiting in reversed(tuple(enumerate(self._waiting))):
            while waiting and (waiting[0][0] <= now_ns or self._count_waiting() + len(claims) > MAX_WAITING):
                self._try(waiting.popleft()[1], stage + 1, now_ns, answers)
        for claim in claims:
            self._try(claim, 0, now_ns, answers)
        return answers

    def _count_waiting(self) -> int:
        return sum(map(len, self._waiting))

    def _try(self, claim: Claim, stage: int, now_ns: int, answers: Answers) -> None:
        is_final = stage == len(RETRY_AFTER_NS)
        if isinstance(claim, ExactClaim):
            outcome = self._answer_exact(claim, answers.records)
        else:
            outcome = self._answer_interval(claim, answers.records, is_final=is_final)
        if outcome in _RETRIED and not is_final:
            self._waiting[stage].append((now_ns + RETRY_AFTER_NS[stage], claim))
        else:
            answers.outcomes.append(outcome)

    def _answer_exact(self, claim: ExactClaim, records: list[bytes]) -> ClaimOutcome:
        message = Direction(claim.direction)
        client = write_endpoint(claim.client_port, claim.client_address)
        flows = self._kept.find_from(client) if message is Direction.REQUEST else self._kept.find_to(client)
        found = [(flow, entry) for flow in flows if (entry := flow.find_packet(claim.seq, claim.tsval)) is not None]
        if len(found) != 1:
            nothing = ClaimOutcome.NOT_FOUND if flows else ClaimOutcome.UNKNOWN_FLOW
            return ClaimOutcome.AMBIGUOUS if found else nothing
        ((flow, entry),) = found
        records.append(write_record(flow, entry, message, _read_context(claim)))
        return ClaimOutcome.EXACT

    def _answer_interval(self, claim: IntervalClaim, records: list[bytes], *, is_final: bool) -> ClaimOutcome:
        client = write_endpoint(claim.client_port, claim.client_address)
        flows = [flow for flow in self._kept.find_from(client) if _serves(flow, claim)]
        if not flows:
            return ClaimOutcome.UNKNOWN_FLOW
        span = self._epochs.place(claim.start_ns - EDGE_NS, claim.end_ns + EDGE_NS)
        if span is None:
            return ClaimOutcome.NO_CLOCK
        is_whole = self._kept.complete_since_ns <= span.start_ns and self._losses.is_whole(span.start_ns, span.end_ns)
        interval = Interval(span.start_ns, span.end_ns, is_whole, claim.is_one_at_a_time, is_final)
        requests = [read_direction(flow, span.start_ns, span.end_ns) for flow in flows]
        responses = [read_direction(flow, span.start_ns, span.end_ns) for flow in self._kept.find_to(client)]
        match = match_interval(requests, responses, interval)
        if match.request is None:
            return _OUTCOMES[match.verdict]
        if not starts_here(match.request.direction.direction, match.request.seen.entries[0]):
            # The span's clock is another node's.
            return ClaimOutcome.UNKNOWN_FLOW
        records += _write_match(match, _read_context(claim))
        return ClaimOutcome.ANSWERED if match.response is not None else ClaimOutcome.REQUEST_ALONE


def _serves(flow: FlowDirection, claim: IntervalClaim) -> bool:
    port, address = read_endpoint(flow.destination)
    return claim.server_port in (0, port) and claim.server_address in (ANY_ADDRESS, address)


def _read_context(claim: Claim) -> ClaimedContext:
    return ClaimedContext(claim.trace_id, claim.parent_id, claim.trace_flags)


def _write_match(match: Match, context: ClaimedContext) -> list[bytes]:
    return [
        write_record(found.direction.direction, entry, message, context)
        for message, found in ((Direction.REQUEST, match.request), (Direction.RESPONSE, match.response))
        if found is not None
        for entry in found.seen.entries
    ]
