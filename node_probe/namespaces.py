"""Network namespaces: finds those that processes or `ip netns` hold, and enters one for a moment.

No namespace is kept open: a descriptor that the agent held would keep a deleted pod's devices alive.
"""

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_OWN = Path("/proc/thread-self/ns/net")

_libc = ctypes.CDLL(None, use_errno=True)


def list_namespaces() -> dict[int, Path]:
    """Return a path to each network namespace that can be seen, but the caller's own, by the namespace's inode."""
    found: dict[int, Path] = {}
    own = _OWN.stat().st_ino
    for path in _candidate_paths():
        # Processes and names vanish while we look, and some may not be read.
        with contextlib.suppress(OSError):
            found.setdefault(path.stat().st_ino, path)
    found.pop(own, None)
    return found


@contextlib.contextmanager
def entered(path: Path | None) -> Iterator[None]:
    """Run the block with this thread in the namespace at `path`; None: where it is already. Raises OSError."""
    if path is None:
        yield
        return
    own = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        other = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _set_namespace(other)
        finally:
            os.close(other)
        try:
            yield
        finally:
            _set_namespace(own)
    finally:
        os.close(own)


def _candidate_paths() -> Iterator[Path]:
    for directory in (Path("/run/netns"), Path("/var/run/netns")):
        if directory.is_dir():
            yield from directory.iterdir()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            yield process / "ns" / "net"


def _set_namespace(fd: int) -> None:
    if _libc.setns(fd, _CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
