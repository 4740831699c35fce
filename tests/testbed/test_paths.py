"""Every way that a packet can take between two places of the usual overlay: each is measured, or counted by name.

A tape on the devices says what passed; the probes' counts and what they sent must agree with it to the last packet.
"""

from collections.abc import Iterator

import pytest

from testbed.topology import CART, CATALOG, CATALOG_SERVICE, FRONTEND, FRONTEND_SERVICE, NODE_1, NODE_2
from tests.testbed.bench import Bench, opened_bench
from tests.testbed.path_changes import masqueraded, offloads, shaped
from tests.testbed.paths import BARE_OUT, IN, NO_EXCHANGE, ONE_NODE, OUT, WHOLE, Path, check_path
from tests.testbed.talk import POD_TO_POD, route_by_service, route_directly

pytestmark = pytest.mark.testbed

PATHS = [
    Path("by ClusterIP", route_by_service(), WHOLE),
    Path("by the pod's address", POD_TO_POD, WHOLE),
    Path("on one node", route_directly(FRONTEND.namespace, CATALOG.namespace, CATALOG.address), ONE_NODE),
    Path("on one node by ClusterIP", route_by_service(service=CATALOG_SERVICE), ONE_NODE),
    Path(
        "masqueraded",
        route_by_service(),
        # The client's address changes behind veth-ingress: the far node's transits pair with none of these.
        {"node-1": ((1, 2), ()), "node-2": (IN, OUT)},
        {"node-1": NO_EXCHANGE},
        change=masqueraded(),
    ),
    Path(
        "to itself by ClusterIP",
        route_by_service(service=FRONTEND_SERVICE),
        {"node-1": ((1, 2), ()), "node-2": ((), ())},
        {"node-1": NO_EXCHANGE},
    ),
    Path(
        "from a host-network pod",
        route_directly(NODE_1.namespace, CART.namespace, CART.address),
        # Its own packets meet no first point at their node.
        {"node-1": ((), ()), "node-2": (IN, OUT)},
        {"node-1": NO_EXCHANGE},
    ),
    Path(
        "from a host-network pod on the same node",
        route_directly(NODE_1.namespace, CATALOG.namespace, CATALOG.address),
        {"node-1": ((), ()), "node-2": ((), ())},
        {"node-1": NO_EXCHANGE},
    ),
    Path(
        "to a host-network pod",
        route_directly(FRONTEND.namespace, NODE_2.namespace, NODE_2.underlay_address),
        # Out without tunnel, and ending in a socket of the node, whose answer meets no first point there.
        {"node-1": (BARE_OUT, IN), "node-2": ((5,), ())},
    ),
    Path(
        "to a host-network pod on the same node",
        route_directly(FRONTEND.namespace, NODE_1.namespace, NODE_1.gateway),
        {"node-1": ((1, 2), ()), "node-2": ((), ())},
    ),
    Path("with late segmentation and merging", route_by_service(), WHOLE, change=offloads(on=True)),
    Path("without segmentation offloads", route_by_service(), WHOLE, change=offloads(on=False)),
    Path("through a token bucket", route_by_service(), WHOLE, change=shaped()),
]


@pytest.fixture(scope="module")
def bench(two_nodes_vxlan: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Hold probes, tape and sink."""
    del two_nodes_vxlan
    with opened_bench(tmp_path_factory.mktemp("paths")) as bench:
        yield bench


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_every_message_is_measured_or_counted(bench: Bench, path: Path) -> None:
    """Of each request and response each node has the transit that the path allows, or a count that says why not."""
    check_path(bench, path)
