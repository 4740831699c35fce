"""Has the interpreter look for cycles of garbage seldom: requests make none, and each look costs what is alive.

An edge, of the interpreter alone. What is no cycle, and so all that a request leaves, goes at once as ever.
"""

import gc

YOUNG_OBJECTS = 50_000
"""Objects made and not yet gone at which the youngest are looked through: by default 700, several times a request."""


def collect_seldom() -> None:
    """Take what is there for good, and look through new objects seldom. Once, when everything is started."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
