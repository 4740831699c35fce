"""What the tests of all HTTP clients have: a peer on a real socket."""

from collections.abc import Iterator

import pytest

from tests.hopspan.http_peer import HttpPeer


@pytest.fixture
def peer() -> Iterator[HttpPeer]:
    """A peer that takes everything, until it is told what to do."""
    peer = HttpPeer()
    yield peer
    peer.close()
