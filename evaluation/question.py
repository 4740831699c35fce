"""What every question of the evaluation has: a name, what it needs of the machine, and a run that gives results."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

Tell = Callable[[str], None]
"""Is given a line for each step of a run."""


class Effort(Enum):
    """How much a run measures."""

    QUICK = "quick"
    FULL = "full"


@dataclass(frozen=True)
class Question:
    """A question, each in a module of its own as QUESTION."""

    name: str
    """Of the field of Results that holds the answer."""
    title: str
    budget_s: Mapping[Effort, int]
    """How long a run may take on two cores."""
    list_missing: Callable[[], list[str]]
    """What this machine lacks, a line each."""
    run: Callable[[Effort, Path, Tell], Any]
    """Measures, with its files in the directory; returns the answer. Raises TestbedError."""
