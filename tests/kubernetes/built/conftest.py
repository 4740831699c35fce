"""What the tests of the images stand on: both are built once."""

import secrets
from collections.abc import Iterator

import pytest

from tests.kernel.made_node import Node
from tests.kubernetes.built.built_images import PROGRAMS, BuiltImage, build_image
from tests.requirements import require_root


@pytest.fixture(scope="session", params=PROGRAMS)
def image(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> BuiltImage:
    """Each of the two, unpacked."""
    require_root()
    return build_image(request.param, tmp_path_factory.mktemp("image"))


@pytest.fixture
def node() -> Iterator[Node]:
    """A node with a pod: what a probe finds points on."""
    node = Node(secrets.token_hex(2))
    yield node
    node.remove()
