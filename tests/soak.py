"""How often tests with random cases repeat: a few times in `make test`, many more where a soak is asked for."""

import os

SOAK = "HOPSPAN_SOAK"
"""A factor for all of them; 1 where it is not set."""


EMULATED = "HOPSPAN_EMULATED"
"""Set in the guests of the other kernels, where everything takes ten times as long."""

_EMULATED_PART = 5


def scale(rounds: int) -> int:
    """Return how many rounds to run where `make test` runs so many; an emulated machine gets a fifth of it."""
    part = _EMULATED_PART if EMULATED in os.environ else 1
    return max(1, rounds * int(os.environ.get(SOAK, "1")) // part)
