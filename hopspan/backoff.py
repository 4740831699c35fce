"""Draws how long to wait before another attempt. An edge: of chance alone."""

import random

from hopspan.retry import choose_delay_ns


def draw_delay_ns(attempt: int, retry_after_ns: int | None = None) -> int:
    """Return the wait before the attempt after failure number `attempt`, as `choose_delay_ns` says."""
    # Not for cryptography: it keeps many senders from coming back in one wave.
    return choose_delay_ns(attempt, random.random(), retry_after_ns)  # noqa: S311
