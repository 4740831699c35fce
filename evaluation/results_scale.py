"""Question 6's own values: curves of a cost over a size. Pure."""

from evaluation.values import Estimate, Head, Value


class Curve(Value, frozen=True):
    """A cost at each size, and beside it the ratio to the cost at the smallest size of the same round."""

    name: str
    """By which report and plots pick it."""
    unit: str
    sizes: tuple[int, ...]
    values: tuple[Estimate, ...]
    ratios: tuple[Estimate, ...]


class Fill(Value, frozen=True):
    """What became of transits that came and that no span came for."""

    came: int
    waiting: int
    displaced: int
    """Those for which there was no room, counted under `transits_full`."""
    grown_mib: float
    """By how much the memory of the process grew."""


class ScaleResult(Value, frozen=True):
    """The answer to question 6, how the costs grow."""

    head: Head
    probe_rounds: int
    plugin_rounds: int
    exchanges_per_s: int
    """The fixed rate, over all pods of the node together."""
    transits: int
    """Of all rounds, that the agents should have sent."""
    lost: int
    """Of these, those that they did not send."""
    seconds: float
    probe: tuple[Curve, ...]
    plugin: tuple[Curve, ...]
    fills: tuple[Fill, ...]
