"""Pods come and go while applications send spans: whatever was taken is in the user's Jaeger."""

import time

import pytest

from testbed.deadline import wait_until
from tests.kubernetes.chart import NAMESPACE, PLUGIN, PROBE, Chart
from tests.kubernetes.hotrod import HotRod
from tests.kubernetes.load import SERVICE, Load
from tests.kubernetes.test_chart import NODE_HOPS, RIDES
from tests.peers.backend import ARRIVAL_TIMEOUT_S
from tests.peers.hotrod_traces import check_rides
from tests.peers.jaeger_api import JaegerApi

pytestmark = [pytest.mark.kubernetes, pytest.mark.bpf]

COMPONENT = "app.kubernetes.io/component"
SOME = 101
"""Spans before and after what happens to the pods."""


def check_taken(jaeger: JaegerApi, load: Load) -> None:
    """Assert that Jaeger has every span that was acknowledged."""

    def list_missing() -> set[str]:
        found = jaeger.get("/api/traces", service=SERVICE, limit=100_000)["data"]
        return set(load.taken) - {trace["traceID"] for trace in found}

    wait_until(lambda: not list_missing(), f"Jaeger has not all of {len(load.taken)} spans", ARRIVAL_TIMEOUT_S)


def let_some_pass(load: Load) -> None:
    """Wait until some more spans are taken."""
    enough = len(load.taken) + SOME
    wait_until(lambda: len(load.taken) >= enough, "spans are not taken", ARRIVAL_TIMEOUT_S)


def find_plugin_node(chart: Chart) -> str:
    """Return the name of the node that the plugin's one pod runs on."""
    (pod,) = chart.list_pods("collector-plugin")
    return str(pod["spec"]["nodeName"])


def test_rescheduled_plugin_loses_no_span(chart: Chart, jaeger: JaegerApi) -> None:
    """The plugin's node is drained: its one pod ends, another starts on the other node, and takes over."""
    chart.ensure()
    kubectl, left = chart.cluster.kubectl, find_plugin_node(chart)
    with Load(f"{chart.find_plugin()}:24317") as load:
        let_some_pass(load)
        try:
            kubectl.run("drain", left, "--ignore-daemonsets", f"--pod-selector={COMPONENT}=collector-plugin")
            kubectl.run("rollout", "status", "-n", NAMESPACE, f"deployment/{PLUGIN}")
        finally:
            kubectl.run("uncordon", left)
        let_some_pass(load)
    assert find_plugin_node(chart) != left
    check_taken(jaeger, load)


def test_upgraded_plugin_loses_no_span(chart: Chart, jaeger: JaegerApi) -> None:
    """A value is changed: the new pod serves before the old one ends."""
    chart.ensure()
    (before,) = chart.list_pods("collector-plugin")
    with Load(f"{chart.find_plugin()}:24317") as load:
        let_some_pass(load)
        chart.ensure("plugin.config.settle=3s")
        let_some_pass(load)
    (after,) = chart.list_pods("collector-plugin")
    assert after["metadata"]["name"] != before["metadata"]["name"]
    check_taken(jaeger, load)


def test_restarted_probes_lose_no_span(chart: Chart, hotrod: HotRod, jaeger: JaegerApi) -> None:
    """All probes are replaced while spans flow; the new ones show the hops of what comes after."""
    chart.ensure()
    kubectl = chart.cluster.kubectl
    with Load(f"{chart.find_plugin()}:24317") as load:
        let_some_pass(load)
        kubectl.run("rollout", "restart", "-n", NAMESPACE, f"daemonset/{PROBE}")
        kubectl.run("rollout", "status", "-n", NAMESPACE, f"daemonset/{PROBE}")
        let_some_pass(load)
        since_ns = time.time_ns()
        hotrod.ride(RIDES)
        check_rides(jaeger, RIDES, since_ns, NODE_HOPS)
    check_taken(jaeger, load)
