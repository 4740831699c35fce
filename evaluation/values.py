"""What all answers are made of: the base of results, an estimate, and the head: what was measured on. Pure."""

import msgspec


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all results: frozen, and strict when read."""


class Estimate(Value, frozen=True):
    """A median over rounds and the bounds of its confidence interval (95 %)."""

    median: float
    low: float
    high: float


class Head(Value, frozen=True):
    """What a question was answered on."""

    effort: str
    """`quick` or `full`."""
    time: str
    """Of the start, UTC."""
    cpu: str
    cores: int
    kernel: str
    load_average: float
    """Of one minute, at the start: who shared the machine."""
    versions: dict[str, str]
