"""Stackable fixtures `two_nodes`, `two_nodes_vxlan`, `two_nodes_vxlan_http`: each adds one thing."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed import network
from testbed.mesh import Mesh, started_mesh
from testbed.recorder import Recorder
from testbed.requirements import missing_requirements

pytest.register_assert_rewrite("tests.testbed.hop_rules", "tests.testbed.paths", "tests.testbed.programs_under_test")


@pytest.fixture(scope="session", autouse=True)
def _compiled_once(compiled_once: Path) -> None:
    """Every module starts probes, and LLVM takes most of their start."""


@pytest.fixture(scope="session")
def able_machine() -> None:
    """Skip where the testbed cannot run, with the reason; HOPSPAN_REQUIRE_ALL=1 makes that a failure."""
    missing = missing_requirements()
    if not missing:
        return
    reason = "; ".join(missing)
    if os.environ.get("HOPSPAN_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def two_nodes(able_machine: None) -> Iterator[None]:
    """Hold two nodes with their pods, joined by the underlay alone."""
    del able_machine
    with network.two_nodes():
        yield


@pytest.fixture(scope="module")
def two_nodes_vxlan(two_nodes: None) -> None:
    """Add overlay and services."""
    del two_nodes
    network.add_overlay()


@pytest.fixture(scope="module")
def two_nodes_vxlan_http(two_nodes_vxlan: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """Add applications and sidecars, whose spans go where a plugin (or `recorder`) may listen."""
    del two_nodes_vxlan
    with started_mesh(tmp_path_factory.mktemp("mesh")) as mesh:
        yield mesh


@pytest.fixture(scope="module")
def recorder(two_nodes: None) -> Iterator[Recorder]:
    """Keep every span that the mesh sends."""
    del two_nodes
    with Recorder() as recorder:
        yield recorder
