"""The same books where pods, tunnel or both have IPv6: every message is a transit, with the addresses that it had."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path as FilePath

import pytest

from testbed.topology import CART, CATALOG, FRONTEND, NODE_1, NODE_2
from tests.requirements import lack
from tests.testbed import ipv6
from tests.testbed.bench import opened_bench
from tests.testbed.networks import both_routed, both_tunnelled, ipv6_pods, ipv6_tunnel
from tests.testbed.path_changes import offloads
from tests.testbed.paths import BARE, ONE_NODE, WHOLE, Ends, Path, Ways, check_path
from tests.testbed.talk import POD_TO_POD, route_by_service

pytestmark = [pytest.mark.testbed, pytest.mark.usefixtures("able_machine", "ipv6_kernel")]

OF_IPV4: Ends = (NODE_1.underlay_address, NODE_2.underlay_address)
OF_IPV6: Ends = (ipv6.underlay_address(NODE_1), ipv6.underlay_address(NODE_2))


@dataclass(frozen=True)
class Network:
    """A network, and the paths that are taken on it."""

    name: str
    build: Callable[[], AbstractContextManager[None]]
    paths: tuple[Path, ...]


def list_ipv4(ways: Ways, ends: Ends | None = None) -> tuple[Path, ...]:
    """Return the paths of IPv4 packets between the nodes: by service and by address."""
    return (
        Path("by ClusterIP of IPv4", route_by_service(), ways, ends=ends),
        Path("by the pod's IPv4 address", POD_TO_POD, ways, ends=ends),
    )


def list_ipv6(ways: Ways, ends: Ends | None = None) -> tuple[Path, ...]:
    """Return the paths of IPv6 packets: by service, by address and on one node."""
    return (
        Path("by ClusterIP", ipv6.route_to_service(FRONTEND, CART), ways, ends=ends),
        Path("by the pod's address", ipv6.route_to_pod(FRONTEND, CART), ways, ends=ends),
        Path("on one node", ipv6.route_to_service(FRONTEND, CATALOG), ONE_NODE),
    )


def vary_offloads(path: Path) -> tuple[Path, ...]:
    """Return the path with segments cut and merged late, and with none of that."""
    return tuple(
        Path(f"{path.name}, offloads {on}", path.route, path.ways, change=offloads(on=on), ends=path.ends)
        for on in (True, False)
    )


NETWORKS = [
    Network(
        "IPv6 in a tunnel of IPv4",
        ipv6_pods,
        (*list_ipv6(WHOLE, OF_IPV4), *vary_offloads(list_ipv6(WHOLE, OF_IPV4)[0])),
    ),
    Network(
        "IPv4 in a tunnel of IPv6",
        ipv6_tunnel,
        (*list_ipv4(WHOLE, OF_IPV6), *vary_offloads(list_ipv4(WHOLE, OF_IPV6)[0])),
    ),
    Network("a tunnel for each version", both_tunnelled, (*list_ipv6(WHOLE, OF_IPV6), *list_ipv4(WHOLE, OF_IPV4))),
    Network("no tunnel", both_routed, (*list_ipv6(BARE), *list_ipv4(BARE))),
    Network("no tunnel and no bridge", partial(both_routed, bridged=False), (*list_ipv6(BARE), *list_ipv4(BARE))),
]


@pytest.fixture(scope="module")
def ipv6_kernel() -> None:
    """Need a kernel with IPv6."""
    if not FilePath("/proc/sys/net/ipv6").exists():
        lack("this kernel has no IPv6")


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
def test_every_message_is_measured_or_counted(network: Network, tmp_path: FilePath) -> None:
    """On each path each message is a transit on each node, by the network's points and between its tunnel's ends."""
    with network.build(), opened_bench(tmp_path) as bench:
        for path in network.paths:
            check_path(bench, path)
