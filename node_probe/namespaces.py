"""Network namespaces: finds those that processes or `ip netns` hold, by their ids too, and enters one for a moment.

No namespace is kept open: a descriptor that the agent held would keep a deleted pod's devices alive.
"""

import contextlib
import ctypes
import errno
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from node_probe.rtnetlink import Channel, make_attribute, read_attributes

_CLONE_NEWNET = 0x40000000
_OWN = Path("/proc/thread-self/ns/net")

# linux/net_namespace.h. A struct rtgenmsg is one byte, padded.
_GETNSID = 90
_NETNSA_NSID, _NETNSA_FD = 1, 3
_GENERAL_MESSAGE = bytes(4)
_IDENTITY = struct.Struct("=i")
_DIRECTORIES = (Path("/run/netns"), Path("/var/run/netns"), Path("/run/docker/netns"))
"""Where `ip netns`, container runtimes and Docker give namespaces names."""

_libc = ctypes.CDLL(None, use_errno=True)


class Namespace(msgspec.Struct, frozen=True):
    """A way into a network namespace."""

    path: Path
    inode: int
    """The namespace's own: a process may have gone to another by the time it is entered."""


def find_namespaces(wanted: Iterable[int]) -> dict[int, Namespace]:
    """Return the namespaces that this one knows by the ids in `wanted`, as far as something visible holds them."""
    missing = set(wanted)
    found: dict[int, Namespace] = {}
    if not missing:
        return found
    with Channel() as channel:
        for inode, path in list_namespaces().items():
            with contextlib.suppress(OSError):
                identity = _read_identity(channel, path, inode)
                if identity in missing:
                    found[identity] = Namespace(path, inode)
                    missing.discard(identity)
            if not missing:
                break
    return found


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
def entered(path: Path | None, inode: int = 0) -> Iterator[None]:
    """Run the block with this thread in the namespace at `path`; None: where it is already. Raises OSError.

    With `inode`, ENOENT where another namespace is there by now.
    """
    if path is None:
        yield
        return
    own = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        other = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _check_inode(other, inode)
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
    for directory in _DIRECTORIES:
        with contextlib.suppress(OSError):
            yield from directory.iterdir()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            yield process / "ns" / "net"


def _read_identity(channel: Channel, path: Path, inode: int) -> int:
    """Return the id under which the channel's namespace knows another, -1 where it does not."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check_inode(fd, inode)
        answer = channel.ask(_GETNSID, _GENERAL_MESSAGE + make_attribute(_NETNSA_FD, struct.pack("=I", fd)))
    finally:
        os.close(fd)
    return int(_IDENTITY.unpack(read_attributes(answer, len(_GENERAL_MESSAGE))[_NETNSA_NSID])[0])


def _check_inode(fd: int, inode: int) -> None:
    if inode and os.fstat(fd).st_ino != inode:
        raise OSError(errno.ENOENT, "another network namespace is there by now")


def _set_namespace(fd: int) -> None:
    if _libc.setns(fd, _CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
