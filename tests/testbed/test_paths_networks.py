"""The same books on other networks: each is built, its probes are started, and every message is accounted for.

Those without tunnel are in test_paths_ipv6, since they carry both IP versions.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path as FilePath

import pytest

from testbed.overlay import Overlay
from testbed.topology import CATALOG_SERVICE, UNDERLAY_DEVICE
from tests.testbed.bench import opened_bench
from tests.testbed.networks import (
    SECOND_UNDERLAY,
    UPPER_UNDERLAY,
    joined_nodes,
    two_overlays,
    two_ways,
    upper_underlay,
)
from tests.testbed.paths import BARE, ONE_NODE, WHOLE, Path, Ways, check_path
from tests.testbed.talk import POD_TO_POD, route_by_service

pytestmark = [pytest.mark.testbed, pytest.mark.usefixtures("able_machine")]


@dataclass(frozen=True)
class Network:
    """A network, its underlay devices, and the points of messages between its nodes."""

    name: str
    build: Callable[[], AbstractContextManager[None]]
    ways: Ways = field(default_factory=lambda: WHOLE)
    nics: tuple[str, ...] = (UNDERLAY_DEVICE,)


BOTH = (UNDERLAY_DEVICE, SECOND_UNDERLAY)
NETWORKS = [
    Network("VXLAN on port 4789 and no bridge", partial(joined_nodes, Overlay(vxlan_port=4789), bridged=False)),
    Network("direct routing past the tunnel", partial(joined_nodes, Overlay(is_direct=True)), BARE),
    Network("an overlay on each of two underlay devices", two_overlays, nics=BOTH),
    Network("an overlay over two underlay devices", two_ways, nics=BOTH),
    Network("an overlay over a device that stands upon another", upper_underlay, nics=(UPPER_UNDERLAY,)),
]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
def test_every_message_is_measured_or_counted(network: Network, tmp_path: FilePath) -> None:
    """By service, by address and on one node: each message is a transit on each node, by the network's points."""
    with network.build(), opened_bench(tmp_path, network.nics) as bench:
        check_path(bench, Path("by ClusterIP", route_by_service(), network.ways))
        check_path(bench, Path("by the pod's address", POD_TO_POD, network.ways))
        check_path(bench, Path("on one node", route_by_service(service=CATALOG_SERVICE), ONE_NODE))
