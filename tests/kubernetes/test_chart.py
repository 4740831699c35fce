"""The chart on a real Kubernetes, installed and upgraded: what a user does, and what the user's Jaeger shows."""

import time

import pytest

from testbed.errors import TestbedError
from tests.kubernetes.chart import Chart
from tests.kubernetes.hotrod import HotRod
from tests.peers.hotrod_traces import check_rides
from tests.peers.jaeger_api import JaegerApi

pytestmark = [pytest.mark.kubernetes, pytest.mark.bpf]

RIDES = 3
_WAY = ("host-forward", "vxlan-encap", "underlay", "vxlan-decap", "host-forward")
NODE_HOPS = (*_WAY, *_WAY)
"""Of an exchange, as the nodes see it; the way between a pod's device and its veth is an option."""

POD_POINTS = "probe.podPoints.enabled=true"


def list_names(chart: Chart, component: str) -> set[str]:
    """Return the names of a component's pods."""
    return {pod["metadata"]["name"] for pod in chart.list_pods(component)}


def test_every_call_shows_its_way(chart: Chart, hotrod: HotRod, jaeger: JaegerApi) -> None:
    """With three capabilities: each call of HotROD has the nodes' hops, both ways, under its CLIENT."""
    chart.ensure()
    (probe, _) = chart.list_pods("node-probe")
    (container,) = probe["spec"]["containers"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["BPF", "NET_ADMIN", "PERFMON"]}
    since_ns = time.time_ns()
    hotrod.ride(RIDES)
    check_rides(jaeger, RIDES, since_ns, NODE_HOPS)


def test_new_pods_are_seen(chart: Chart, hotrod: HotRod, jaeger: JaegerApi) -> None:
    """HotROD's pods are replaced, and so their veths: the hops of the new ones are shown."""
    chart.ensure()
    hotrod.restart()
    since_ns = time.time_ns()
    hotrod.ride(RIDES)
    check_rides(jaeger, RIDES, since_ns, NODE_HOPS)


def test_spans_flow_while_the_api_is_away(chart: Chart, hotrod: HotRod, jaeger: JaegerApi) -> None:
    """The API server ends, which nothing needs that runs: no span and no hop is lost."""
    chart.ensure()
    frontend = hotrod.find_frontend()
    chart.cluster.control_plane.stop_api_server()
    try:
        since_ns = time.time_ns()
        hotrod.ride(RIDES, frontend)
        check_rides(jaeger, RIDES, since_ns, NODE_HOPS)
    finally:
        chart.cluster.control_plane.start_api_server()


def test_upgrade_rolls_what_changed(chart: Chart, hotrod: HotRod, jaeger: JaegerApi) -> None:
    """The pods' own points are an option: the probes are replaced, the plugin is not, and all hops are shown."""
    chart.ensure()
    probes, plugins = list_names(chart, "node-probe"), list_names(chart, "collector-plugin")
    chart.ensure(POD_POINTS)
    assert not probes & list_names(chart, "node-probe")
    assert plugins == list_names(chart, "collector-plugin")
    since_ns = time.time_ns()
    hotrod.ride(RIDES)
    try:
        check_rides(jaeger, RIDES, since_ns)
    except TestbedError as error:
        raise TestbedError(f"{error}; the probes:\n{chart.describe_probes()}") from error
