"""What the evaluation found, as values and as JSON: the report and the plots are made of nothing else. Pure."""

import msgspec

VERSION = 1
"""Of the JSON's shape; a reader takes no other."""


class ResultsError(ValueError):
    """The bytes are no results of this version; the text says where."""


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all results: frozen, and strict when read."""


class Estimate(Value, frozen=True):
    """A median over rounds and the bounds of its confidence interval (95 %)."""

    median: float
    low: float
    high: float


class Head(Value, frozen=True):
    """What a question was answered on."""

    time: str
    """Of the start, UTC."""
    cpu: str
    cores: int
    kernel: str
    load_average: float
    """Of one minute, at the start: who shared the machine."""
    versions: dict[str, str]


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


class Results(Value, frozen=True):
    """All answers; a question that was not asked yet has none."""

    version: int = VERSION
    faults: FaultsResult | None = None


def encode_results(results: Results) -> bytes:
    """Return the results as indented JSON with a line end."""
    return msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n"


def decode_results(data: bytes) -> Results:
    """Return the results in the JSON. Raises ResultsError."""
    try:
        results = msgspec.json.decode(data, type=Results)
    except msgspec.MsgspecError as error:
        raise ResultsError(f"no results: {error}") from error
    if results.version != VERSION:
        raise ResultsError(f"results of version {results.version}, not {VERSION}")
    return results
