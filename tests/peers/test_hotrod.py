"""HotROD over two nodes: applications, probes, Collector, plugin and Jaeger are real, and nothing is made up.

otel-config/collector-inline.yaml with plugin-inline.yaml and jaeger.yaml, as they are shipped.
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from testbed.network import two_nodes_vxlan
from testbed.peers import choose_ports, find_hotrod
from testbed.requirements import missing_requirements
from testbed.topology import MANAGEMENT_GATEWAY, PLUGIN_ENDPOINT
from tests.peers.hotrod import request_ride, start_hotrod
from tests.peers.hotrod_traces import SERVICES, check_rides
from tests.peers.jaeger_api import JaegerApi, start_jaeger
from tests.peers.peers import Peers
from tests.peers.ways import make_way
from tests.requirements import lack, require_bcc
from tests.testbed.programs_under_test import running_probes

pytestmark = [pytest.mark.peers, pytest.mark.testbed, pytest.mark.bpf]

RIDES = 7


@pytest.fixture
def jaeger(peers: Peers) -> Iterator[JaegerApi]:
    """Two nodes with a probe each and HotROD, whose spans and hops go to Jaeger."""
    hotrod = find_hotrod()
    if hotrod is None:
        lack("HotROD is not built (make peers)")
    require_bcc()
    if missing := missing_requirements():
        lack("; ".join(missing))
    collector = f"{MANAGEMENT_GATEWAY}:{choose_ports(1)[0]}"
    with two_nodes_vxlan():
        jaeger = start_jaeger(peers)
        way = replace(make_way(peers, "collector-inline.yaml"), otlp_http=collector, plugin=PLUGIN_ENDPOINT)
        way.start_plugin()
        way.start_collector(jaeger.otlp)
        with running_probes(peers.directory, limited=False):
            start_hotrod(peers, hotrod, collector)
            yield jaeger


def test_every_call_shows_its_way(jaeger: JaegerApi) -> None:
    """Each ride is a trace in Jaeger, and each of its calls has all hops there and back under the CLIENT."""
    for _ in range(RIDES):
        assert request_ride()["Driver"]
    check_rides(jaeger, RIDES)
    assert jaeger.list_services() == SERVICES
