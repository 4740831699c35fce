"""What the agent does with flows: keeps the bursts that it reads, and answers the claims that plugins sent.

Used by the agent's thread; only `claims` is fed by others. Reads the clock's offset, nothing else.
"""

from collections.abc import Callable
from typing import Protocol

from hopspan.counters import Counters
from hopspan.logs import Log
from node_probe.claim_queue import ClaimQueue
from node_probe.counters import ClaimOutcome, Event, KeptEnd, Reason
from node_probe.epoch_history import EpochHistory, EpochReading
from node_probe.flow_answers import FlowAnswers
from node_probe.kept_flows import KeptFlows
from node_probe.loss_history import LossHistory

TAKE_LIMIT = 2000
"""Claims looked at a round, of which there are ten a second and more in a flood."""


class Tally(Protocol):
    """The agent's counters, as far as what keeps flows adds to them."""

    reasons: Counters[Reason]
    events: Counters[Event]


class FlowKeeper:
    """The kept bursts, and the claims on them."""

    def __init__(self, kept: KeptFlows, tally: Tally, log: Log, read_epoch: Callable[[], EpochReading]) -> None:
        """Take what keeps, the agent's counters, and what reads the wall clock's offset."""
        self.kept = kept
        self.outcomes: Counters[ClaimOutcome] = Counters(ClaimOutcome)
        self.ends: Counters[KeptEnd] = Counters(KeptEnd)
        self.claims = ClaimQueue(self.outcomes)
        self._tally = tally
        self._log = log
        self._read_epoch = read_epoch
        self._epochs = EpochHistory()
        self._losses = LossHistory()
        self._answers = FlowAnswers(kept, self._epochs, self._losses)

    def keep(self, records: list[bytes]) -> None:
        """Keep the kernel's records of bursts; what cannot be read is counted."""
        done = self.kept.keep(records)
        self._tally.events.add(Event.BURSTS_KEPT, done.bursts)
        self.ends.add(KeptEnd.DISPLACED, done.displaced)
        for error in done.bad_records:
            self._tally.reasons.add(Reason.BAD_RECORD)
            self._log.error("the kernel's record cannot be read", error=str(error))

    def turn(self, read_ns: int, now_ns: int, lost: int | None) -> list[bytes]:
        """Let go what is old, and return the records of what was claimed.

        `read_ns` is from before the ring was read, `lost` how many records the node has lost up to now; None where
        there is still more to read.
        """
        # First: what a claim says was written by a clock that is read behind it, whatever steps came before.
        claims = self.claims.take(TAKE_LIMIT)
        self._epochs.observe(self._read_epoch())
        if lost is not None:
            self._losses.observe(read_ns, now_ns, lost)
        self.ends.add(KeptEnd.EXPIRED, self.kept.expire(now_ns))
        answers = self._answers.answer(claims, now_ns)
        for outcome in answers.outcomes:
            self.outcomes.add(outcome)
        return answers.records
