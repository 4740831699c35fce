"""Question 5's own values: what each hop takes by each way, and what is more or less by another. Pure."""

from evaluation.values import Estimate, Head, Value


class Part(Value, frozen=True):
    """A hop, or what else a call's time is divided into: the median call of a round, over rounds."""

    name: str
    time_us: Estimate


class Case(Value, frozen=True):
    """Calls by one way, with one kind of connection, on nodes with so many services."""

    way: str
    connection: str
    services: int
    parts: tuple[Part, ...]
    """In the order of the packet's way, request before response."""
    network_us: Estimate
    """All hops of both directions together."""
    before_us: Estimate
    """From the application's CLIENT span's start until the request is at the first point."""
    call_us: Estimate
    """The application's CLIENT span."""
    connect_us: Estimate
    """connect(2) to the service from the client's pod, by a socket of the evaluation's own."""
    calls: int
    incomplete: int
    """Calls that did not show all their hops, which are left out."""


class Difference(Value, frozen=True):
    """By how much something is more in the second of two cases than in the first, round by round."""

    first: str
    second: str
    connection: str
    services: str
    """Their number, or both numbers."""
    what: str
    more_us: Estimate


class Passages(Value, frozen=True):
    """How many packets pass KUBE-SERVICES, on all nodes together, while a connection by a way is made."""

    way: str
    connections: int
    packets: int


class OverlayResult(Value, frozen=True):
    """The answer to question 5, overlay or not."""

    head: Head
    rounds: int
    requests_per_run: int
    rules: str
    """Which iptables."""
    seconds: float
    cases: tuple[Case, ...]
    by_services: tuple[Difference, ...]
    """Of each case from few services to many."""
    by_way: tuple[Difference, ...]
    """Of one way against another, with few services."""
    passages: tuple[Passages, ...]


def find_time(case: Case, name: str) -> Estimate | None:
    """Return the time of a hop of a case, or nothing where its way has no such hop.

    The one host-forward of a single node, which is of no side, stands in the place of the sender's.
    """
    times = {part.name: part.time_us for part in case.parts}
    return times.get(name) or times.get(name.replace(" (sender)", ""))
