"""What question 2 found: how two clocks differ, and what they do to what they measure, as values. Pure."""

from evaluation.values import Estimate, Head, Value


class HopClocks(Value, frozen=True):
    """One hop by both clocks, in us. Distributions are the values at the shares of ClockResult, over all rounds."""

    hop: str
    hopspan: tuple[float, ...]
    """Both clocks at once, the same packets."""
    tcpdump: tuple[float, ...]
    hopspan_alone: tuple[float, ...]
    tcpdump_alone: tuple[float, ...]
    difference_us: Estimate
    """hopspan's less tcpdump's, packet by packet: the median of a round."""
    by_tcpdump_us: Estimate
    """How much longer the median packet takes by hopspan's clock if tcpdump is there too."""
    by_hopspan_us: Estimate
    """The same the other way round: by tcpdump's clock, if hopspan is there too."""


class PointClocks(Value, frozen=True):
    """The difference at one point, hopspan's stamp less tcpdump's of the same packet, in us."""

    point: str
    direction: str
    is_leaving: bool
    """The packet goes out by the device; else it comes in."""
    is_first: bool
    """The first point of a node, which stamps behind its search."""
    bias_us: Estimate
    """The median of a round."""
    low_us: float
    """1 %, over all rounds."""
    high_us: float
    """99 %."""
    packets: int


class Observed(Value, frozen=True):
    """What a request took end to end by the client's own clock, at one percentile, in us."""

    percent: float
    off_us: Estimate
    by_hopspan_us: Estimate
    """How much longer with hopspan's programs alone."""
    by_tcpdump_us: Estimate
    by_both_us: Estimate


class Missed(Value, frozen=True):
    """What one tool missed at one load."""

    tool: str
    load: str
    rate: Estimate
    """Requests a second that there were."""
    percent: Estimate
    """Of messages that hopspan delivered no transit of, or packets that tcpdump dropped."""


class ClockResult(Value, frozen=True):
    """The answer to question 2, whether eBPF is as good a clock as tcpdump."""

    head: Head
    rounds: int
    seconds_per_run: int
    messages: int
    """That both clocks saw at all points, in all rounds."""
    incomplete: int
    """Those that one clock saw whole and the other did not, while both were there."""
    missed_rounds: int
    seconds: float
    shares: tuple[float, ...]
    hops: tuple[HopClocks, ...]
    points: tuple[PointClocks, ...]
    observed: tuple[Observed, ...]
    missed: tuple[Missed, ...]
