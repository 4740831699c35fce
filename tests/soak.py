"""How often tests with random cases repeat: a few times in `make test`, many more where a soak is asked for."""

import os

SOAK = "HOPSPAN_SOAK"
"""A factor for all of them; 1 where it is not set."""


def scale(rounds: int) -> int:
    """Return how many rounds to run where `make test` runs so many."""
    return rounds * int(os.environ.get(SOAK, "1"))
