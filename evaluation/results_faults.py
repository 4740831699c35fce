"""What question 4 found: what each fault did, as values. Pure."""

from evaluation.values import Estimate, Head, Value


class Growth(Value, frozen=True):
    """How one segment of the exchange's time changed with the fault."""

    segment: str
    without_us: float
    """Median over rounds of the round's median request."""
    with_us: float
    growth_us: Estimate


class FaultResult(Value, frozen=True):
    """What a fault did, by four accounts: the truth, hopspan's, that of Jaeger alone, and the difference."""

    name: str
    cause: str
    truth: str
    """How the true delay is known."""
    expected: tuple[str, ...]
    """The segments that should grow."""
    found: tuple[str, ...]
    """The segments that grew most, the first one most."""
    true_us: Estimate
    measured_us: Estimate
    """The growth of the expected and the found segments together."""
    error_us: Estimate
    """Measured less true, round by round."""
    gap_us: Estimate
    """The growth of what Jaeger alone shows: the application's CLIENT span less its SERVER span."""
    growths: tuple[Growth, ...]
    requests: int
    """Of all runs with and without the fault."""
    incomplete: int
    """Of these, those that did not show all hops, which are left out."""
    unnumbered: int
    """Of these, those that were sent again and whose hops do not say so (`hopspan.attempt`)."""

    @property
    def missed(self) -> tuple[str, ...]:
        """Return the expected segments that did not grow beyond chance."""
        sure = {growth.segment for growth in self.growths if growth.growth_us.low > 0}
        return tuple(name for name in self.expected if name not in sure)

    @property
    def is_found(self) -> bool:
        """Say whether all segments grew that should, and none grew most that should not."""
        return bool(self.found) and set(self.found) <= set(self.expected) and not self.missed


class FaultsResult(Value, frozen=True):
    """The answer to question 4, whether it finds the cause."""

    head: Head
    rounds: int
    """Pairs of runs for each fault."""
    requests_per_run: int
    seconds: float
    faults: tuple[FaultResult, ...]
