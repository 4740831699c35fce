"""What question 1 found: latency and throughput by variant, the kernel's search, fixed windows, as values. Pure."""

from evaluation.values import Estimate, Head, Value


class Measure(Value, frozen=True):
    """A quantile of the latency, or the throughput, of one load in all variants."""

    load: str
    """What was asked for: `ride` or `call`."""
    level: str
    """Of the load: a share of saturation, or `closed loop`."""
    name: str
    """`p50`, `p90`, `p99`, in ms; `sidecar CPU`, in us a request; or `throughput`, in answers a second."""
    medians: dict[str, float]
    """By variant: the median over rounds."""
    relocation: Estimate
    """Context first as a multiple of context last, round by round."""
    control: Estimate
    """Context last again as a multiple of context last: what comes of chance where nothing changes."""
    tracing: Estimate
    """Context last as a multiple of no tracing, round by round."""


class LoadResult(Value, frozen=True):
    """What one load was."""

    name: str
    path: str
    saturation_per_s: float
    """Answers a second that more requests at once did not raise, by the closed loop before the first round."""
    at_once: int
    """Requests under way in the closed loop."""
    seconds: float
    """Of the open loop of a round, a level and a variant, by turns."""
    asked: dict[str, int]
    """By variant: requests of the open loops, all rounds together."""
    failed: dict[str, int]
    """Of these, those that were answered with an error or not at all."""


class SearchCost(Value, frozen=True):
    """What the first point takes of the kernel for a request, net of an empty program."""

    size_bytes: int
    """Of the header block."""
    segments: int
    at_head_ns: float
    at_end_ns: float
    """Medians over rounds of the round's median request, with the context at the head and at the end of the block."""
    growth_ns: Estimate
    """At the end more than at the head, round by round."""


class Blocks(Value, frozen=True):
    """Header blocks with a context, as one variant's sidecars sent them over the overlay."""

    variant: str
    count: int
    size_bytes: tuple[int, int, int]
    """Smallest, median, largest."""
    context_end_bytes: tuple[int, int, int]
    """How many bytes hold the context whole: least, median, most."""
    shares: dict[int, float]
    """By window in bytes: the share of the blocks whose context lies whole inside of it."""


class RelocationResult(Value, frozen=True):
    """The answer to question 1, whether the relocation costs anything."""

    head: Head
    rounds: int
    seconds: float
    loads: tuple[LoadResult, ...]
    measures: tuple[Measure, ...]
    blocks: tuple[Blocks, ...]
    search: tuple[SearchCost, ...]
    search_rounds: int
    search_requests: int
    """In a round, of each size and place."""
