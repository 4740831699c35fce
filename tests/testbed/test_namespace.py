"""Who is killed with a namespace: those inside it, and nobody else."""

import secrets
import subprocess
from collections.abc import Iterator

import pytest

from testbed.command import run_command
from testbed.namespace import held_namespaces, kill_all_in
from tests.requirements import require_root

pytestmark = pytest.mark.testbed

NAMESPACES = 20
"""Enough that the kernel gives one of their numbers again where it is free."""


@pytest.fixture
def prefix() -> Iterator[str]:
    """Return how the names of namespaces begin that are removed afterwards."""
    require_root()
    prefix = f"hstest-{secrets.token_hex(3)}"
    yield prefix
    for name in list_names(prefix, "old") + list_names(prefix, "new"):
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def list_names(prefix: str, age: str) -> list[str]:
    """Return the names of as many namespaces."""
    return [f"{prefix}-{age}-{number}" for number in range(NAMESPACES)]


def start_in(namespace: str) -> "subprocess.Popen[bytes]":
    """Start a process that waits in the namespace."""
    process = subprocess.Popen(
        ["ip", "netns", "exec", namespace, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin
    assert process.stdout
    process.stdin.write(b"inside\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"inside\n"
    return process


def test_those_in_a_later_namespace_live_on(prefix: str) -> None:
    """One that is made when the name of another has just gone may not be taken for it."""
    old, new = list_names(prefix, "old"), list_names(prefix, "new")
    for name in old:
        run_command(["ip", "netns", "add", name])
    first = start_in(old[0])
    with held_namespaces(old) as identities:
        for gone, made in zip(old, new, strict=True):
            run_command(["ip", "netns", "del", gone])
            run_command(["ip", "netns", "add", made])
        others = [start_in(name) for name in new]
        kill_all_in(identities)
        first.communicate()
        assert first.returncode == -9
        for other in others:
            other.communicate()
            assert other.returncode == 0
