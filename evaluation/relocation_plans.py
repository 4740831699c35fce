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
    closed_s: float
    """How long a variant is asked in a closed loop until it is the next one's turn."""


@dataclass(frozen=True)
class Saturated:
    """Where a load's saturation was found."""

    load: Load
    rate_per_s: float
    at_once: int


RIDE = Load("ride", "/dispatch?customer=123", (4, 8, 16, 32, 64), 2.0)
CALL = Load("call", "/customer?customer=123", (2, 4, 8, 16, 32, 64), 0.5)


@dataclass(frozen=True)
class Turns:
    """Those of each variant in an open loop of a round."""

    number: int
    seconds: float
    """Of sending, each; the answers are waited for behind it."""


@dataclass(frozen=True)
class Plan:
    """How much is measured, in seconds where no other unit stands."""

    rounds: int
    """As many as make a multiple of four turns: their order is balanced then."""
    open_turns: Mapping[str, Turns]
    """By load: rides are fewer a second."""
    closed_turns: Mapping[str, int]
    ramp_s: float
    """Of each step."""
    search_rounds: int
    search_requests: int


PLANS = {
    Effort.QUICK: Plan(
        4, {RIDE.name: Turns(1, 1.5), CALL.name: Turns(1, 0.75)}, {RIDE.name: 1, CALL.name: 1}, 2.0, 5, 60
    ),
    Effort.FULL: Plan(
        8, {RIDE.name: Turns(2, 2.5), CALL.name: Turns(3, 1.0)}, {RIDE.name: 1, CALL.name: 3}, 3.0, 15, 200
    ),
}
