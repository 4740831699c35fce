"""What tests beside real programs stand on: the programs, and a backend that keeps what it gets."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.backend import Backend
from tests.peers.peers import Peers
from tests.peers.zipkin_server import Zipkin, running_zipkin


@pytest.fixture
def peers(tmp_path: Path) -> Iterator[Peers]:
    """Real programs are started through this, and end with the test."""
    peers = Peers(tmp_path)
    yield peers
    peers.close()


@pytest.fixture
def backend() -> Iterator[Backend]:
    """An OTLP/gRPC backend that keeps every span."""
    with Backend() as backend:
        yield backend


@pytest.fixture(scope="session")
def zipkin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zipkin]:
    """Hold a Zipkin for all tests, which tell their traces apart by id."""
    with running_zipkin(tmp_path_factory.mktemp("zipkin")) as zipkin:
        yield zipkin
