"""What question 3 found: what each way to watch costs, as values. Pure."""

from evaluation.values import Estimate, Head, Value


class Change(Value, frozen=True):
    """A figure with what is compared, and how it differs from the runs without anything before and behind it."""

    value: Estimate
    change: Estimate
    """In the figure's own unit."""
    percent: Estimate
    """The same, of the figure without anything."""


class VariantCost(Value, frozen=True):
    """What one way to watch costs."""

    name: str
    rate: Change
    """Requests a second at saturation of both cores."""
    cpu_us: Change
    """CPU time of an exchange at saturation: client, server, kernel threads, and what watches."""
    p50_us: Change
    """Of a request at the steady load."""
    p99_us: Change
    p99_saturated_us: Change
    """At saturation, by the client."""
    own_us: Estimate
    """Of an exchange's CPU time at saturation: the processes that watch."""
    peer_us: Estimate
    """The same: the peer that takes the transits."""
    own_cpu_percent: Estimate
    """Of one core, a node, at the steady load: the processes that watch."""
    own_rss_mib: Estimate
    """A node, behind both loads: the processes that watch."""
    lost_percent: Estimate
    """Of transits, or packets, over both loads."""


class HookCost(Value, frozen=True):
    """What a run of one program costs, in traffic."""

    program: str
    sampled_percent: int
    ns: Estimate


class ExchangeCost(Value, frozen=True):
    """What all programs of both nodes cost one exchange."""

    sampled_percent: int
    ns: Estimate


class CostResult(Value, frozen=True):
    """The answer to question 3, what it costs."""

    head: Head
    rounds: int
    seconds_per_run: int
    hook_rounds: int
    seconds: float
    steady_rate: Estimate
    """Requests a second of the steady load, without anything."""
    off_rate: Estimate
    off_cpu_us: Estimate
    off_p50_us: Estimate
    off_p99_us: Estimate
    off_p99_saturated_us: Estimate
    variants: tuple[VariantCost, ...]
    hooks: tuple[HookCost, ...]
    exchanges: tuple[ExchangeCost, ...]
