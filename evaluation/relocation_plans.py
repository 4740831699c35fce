"""What question 1 asks for, and how much of it: loads and the efforts' plans. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from evaluation.question import Effort


@dataclass(frozen=True)
class Load:
    """What is asked for, and how it is brought to saturation."""

    name: str
    path: str
    at_once: tuple[int, ...]
    """Requests under way in the steps of the ramp."""
    turn_s: float
    """How long a variant is asked in an open loop until it is the next one's turn."""
    closed_s: float
    """The same in a closed loop."""
    lead_s: float
    """Longer than an answer takes on an idle machine."""


@dataclass(frozen=True)
class Saturated:
    """Where a load's saturation was found."""

    load: Load
    rate_per_s: float
    at_once: int


RIDE = Load("ride", "/dispatch?customer=123", (4, 8, 16, 32, 64, 128), 0.5, 1.5, 0.5)
CALL = Load("call", "/customer?customer=123", (2, 4, 8, 16, 32, 64), 0.25, 0.5, 0.1)


@dataclass(frozen=True)
class Plan:
    """How much is measured, in seconds where no other unit stands."""

    rounds: int
    open_turns: Mapping[str, int]
    """Of each open loop, by load: rides are fewer a second."""
    closed_turns: Mapping[str, int]
    ramp_s: float
    """Of each step."""
    search_rounds: int
    search_requests: int


PLANS = {
    Effort.QUICK: Plan(5, {RIDE.name: 4, CALL.name: 4}, {RIDE.name: 1, CALL.name: 1}, 2.0, 5, 60),
    Effort.FULL: Plan(9, {RIDE.name: 16, CALL.name: 20}, {RIDE.name: 3, CALL.name: 6}, 3.0, 15, 200),
}
