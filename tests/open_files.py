"""What this process has open, and what of it a part of the tests leaves behind: a whole run has room for 1024."""

import gc
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

FEW = 10
"""Files that a module may leave open: gRPC and libuv keep some for as long as the process lives."""

PATIENCE_S = 20.0
"""How long what is closed by threads that come to their end may take on a busy machine."""

OpenFile = tuple[int, str]
"""Number, and what the kernel says it is."""


def list_open_files() -> set[OpenFile]:
    """Return the files that this process has open."""
    found = set()
    for path in Path("/proc/self/fd").iterdir():
        try:
            found.add((int(path.name), str(path.readlink())))
        except FileNotFoundError:
            continue  # that of the listing itself
    return found


def find_left(known: Iterable[OpenFile], patience_s: float = PATIENCE_S) -> str:
    """Return what kinds of files are open beside the known ones, once they stay more than FEW; else nothing."""
    deadline = time.monotonic() + patience_s
    known = set(known)
    while len(left := list_open_files() - known) > FEW:
        if time.monotonic() > deadline:
            kinds = Counter(name.partition("[")[0] if ":[" in name else name for _, name in left)
            return ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        gc.collect()
        time.sleep(0.1)
    return ""
