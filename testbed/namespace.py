"""Enters network namespaces: calls and sockets inside one, and the processes that live there.

The only module that calls setns(2).
"""

import ctypes
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import TypeVar

from testbed.deadline import wait_until

NETNS_DIRECTORY = Path("/run/netns")
"""Where iproute2 keeps named namespaces."""

KILL_TIMEOUT_S = 20.0
"""A killed process leaves at once unless it waits for a device; this only bounds the wait."""

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

T = TypeVar("T")
Identity = tuple[int, int]
"""Device and inode of a namespace's file in nsfs."""


def list_namespaces(prefix: str) -> list[str]:
    """Return the names of the namespaces that start with the prefix, sorted."""
    if not NETNS_DIRECTORY.is_dir():
        return []
    return sorted(path.name for path in NETNS_DIRECTORY.iterdir() if path.name.startswith(prefix))


def call_in(namespace: str, function: Callable[[], T]) -> T:
    """Call the function inside a network namespace and return its result or raise its exception.

    It runs in a thread of its own, since setns(2) moves the calling thread only: nobody has to move back.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            _enter(namespace)
            results.append(function())
        except BaseException as error:  # noqa: BLE001 - it is raised again by the caller's thread
            errors.append(error)

    thread = Thread(target=run, name=f"in-{namespace}")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def open_socket(
    namespace: str,
    family: socket.AddressFamily = socket.AF_INET,
    kind: socket.SocketKind = socket.SOCK_STREAM,
    protocol: int = 0,
) -> socket.socket:
    """Open a socket inside a network namespace. It stays there, whichever thread uses it."""
    return call_in(namespace, lambda: socket.socket(family, kind, protocol))


def write_sysctls(namespace: str, values: dict[str, str]) -> None:
    """Write sysctls (`net/ipv4/ip_forward`) inside a namespace; those that the kernel lacks are passed over."""

    def write() -> None:
        for name, value in values.items():
            path = Path("/proc/sys", name)
            if path.exists():
                path.write_text(value)

    call_in(namespace, write)


@contextmanager
def held_namespaces(names: list[str]) -> Iterator[set[Identity]]:
    """Yield what identifies the namespaces, also when their names are gone.

    They are held meanwhile: the kernel gives the number of one that has ended to the next that anybody makes.
    """
    with ExitStack() as stack:
        identities = set()
        for name in names:
            with suppress(FileNotFoundError):
                status = os.fstat(stack.enter_context((NETNS_DIRECTORY / name).open()).fileno())
                identities.add((status.st_dev, status.st_ino))
        yield identities


def kill_all_in(identities: set[Identity]) -> None:
    """Kill every process inside the namespaces and return when they are gone. Raises TestbedError."""

    def are_gone() -> bool:
        pids = _list_pids_in(identities)
        for pid in pids:
            _kill(pid)
        return not pids

    if identities:
        wait_until(are_gone, "killed processes did not leave the namespaces", KILL_TIMEOUT_S)


def _enter(namespace: str) -> None:
    with (NETNS_DIRECTORY / namespace).open() as file:
        if _libc.setns(file.fileno(), _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"setns to {namespace}: {os.strerror(number)}")


def _identify(path: Path) -> Identity | None:
    """Return what identifies a process's namespace, or nothing where the process has gone."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _list_pids_in(identities: set[Identity]) -> list[int]:
    processes = [path for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [int(path.name) for path in processes if _identify(path / "ns" / "net") in identities]


def _kill(pid: int) -> None:
    """Kill a process; one that has gone since it was listed is no fault."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
