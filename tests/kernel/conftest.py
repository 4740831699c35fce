"""The real programs, loaded once, and a harness in a known state for each test."""

import itertools
import secrets
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from node_probe.transit import ContextFormat
from tests.compiled.loaded import loaded_programs
from tests.kernel.bpf_harness import Harness
from tests.kernel.made_node import Node
from tests.kernel.talking_node import TalkingNode
from tests.requirements import require_bcc, require_root

pytest.register_assert_rewrite("tests.kernel.talk")


@pytest.fixture(scope="session", autouse=True)
def _compiled_once(compiled_once: Path) -> None:
    """Most tests start a probe of their own, and LLVM takes most of its start."""


@pytest.fixture(scope="session")
def program_fds() -> Iterator[Mapping[str, int]]:
    require_root()
    require_bcc()
    with loaded_programs() as fds:
        yield fds


@pytest.fixture(scope="session")
def session_harness(program_fds: Mapping[str, int]) -> Iterator[Harness]:
    with closing(Harness(program_fds)) as harness:
        yield harness


@pytest.fixture(scope="session")
def session_flows() -> Iterator[Harness]:
    require_root()
    require_bcc()
    with loaded_programs(ContextFormat) as fds, closing(Harness(fds)) as harness:
        yield harness


@pytest.fixture
def flows(session_flows: Harness) -> Harness:
    """Return the programs that follow TLS, too."""
    session_flows.configure()
    session_flows.start_afresh()
    return session_flows


@pytest.fixture
def bpf(session_harness: Harness) -> Harness:
    session_harness.configure()
    session_harness.start_afresh()
    return session_harness


@pytest.fixture(scope="session")
def port_numbers() -> Iterator[int]:
    return itertools.count(20_000)


@pytest.fixture
def port(port_numbers: Iterator[int]) -> int:
    """Return a client port that no other test uses: exchanges outlive a test."""
    return next(port_numbers)


@pytest.fixture
def node() -> Iterator[Node]:
    """Make a node with one pod, and remove it afterwards."""
    require_root()
    require_bcc()
    made = Node(secrets.token_hex(3))
    yield made
    made.remove()


@pytest.fixture
def talking_node() -> Iterator[TalkingNode]:
    """Make a node with two pods, and remove it afterwards."""
    require_root()
    require_bcc()
    made = TalkingNode(secrets.token_hex(3))
    yield made
    made.remove()
