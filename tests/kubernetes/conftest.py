"""What the tests on Kubernetes stand on: one cluster for all, the chart in it, and a real Jaeger beside it."""

from collections.abc import Iterator

import pytest

from testbed.kubernetes.cluster import Cluster, remove_cluster, two_node_kubernetes
from testbed.kubernetes.programs import missing_kubernetes
from testbed.kubernetes.topology import MACHINE
from tests.kubernetes.chart import NAMESPACE, PLUGIN, Chart, bring_images
from tests.kubernetes.hotrod import HotRod, start_hotrod
from tests.kubernetes.machine import describe_machine
from tests.kubernetes.sidecars import Sidecars, start_sidecars
from tests.peers.jaeger_api import JaegerApi, start_jaeger
from tests.peers.peers import Peers
from tests.requirements import lack


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Two nodes that are ready; at the end the machine is as it was."""
    if missing := missing_kubernetes():
        lack("; ".join(missing))
    remove_cluster()
    before = describe_machine()
    with two_node_kubernetes() as cluster:
        yield cluster
    assert describe_machine() == before


@pytest.fixture(scope="session")
def jaeger(cluster: Cluster) -> Iterator[JaegerApi]:
    """The users' backend, outside of the cluster."""
    directory = cluster.directory / "peers"
    directory.mkdir()
    peers = Peers(directory)
    try:
        yield start_jaeger(peers, host=str(MACHINE))
    finally:
        peers.close()


@pytest.fixture(scope="session")
def images(cluster: Cluster) -> None:
    """Both programs' images are on both nodes."""
    bring_images(cluster)


@pytest.fixture(scope="session")
def chart(cluster: Cluster, jaeger: JaegerApi, images: None) -> Chart:
    """The chart, whose images are on the nodes; each test says with which settings it is to be installed."""
    del images
    return Chart(cluster, jaeger.otlp)


@pytest.fixture(scope="session")
def hotrod(cluster: Cluster) -> HotRod:
    """Jaeger's demo application on both nodes; its spans go to the plugin."""
    return start_hotrod(cluster, f"{PLUGIN}.{NAMESPACE}.svc:24318")


@pytest.fixture
def sidecars(cluster: Cluster, chart: Chart) -> Sidecars:
    """Pods with a stock Envoy beside the application."""
    chart.ensure()
    return start_sidecars(cluster, (chart.find_plugin(), 24317))
