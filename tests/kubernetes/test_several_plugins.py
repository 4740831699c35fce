"""Several plugins behind the Collector that the docs name, which finds them by the headless Service."""

import json
import re
import time
from collections.abc import Iterator

import pytest

from testbed.kubernetes.applications import render_readiness
from testbed.kubernetes.cluster import Cluster
from testbed.peers import find_collector
from tests.house.repository import ROOT
from tests.kubernetes.chart import NAMESPACE, PLUGIN, Chart
from tests.kubernetes.hotrod import HotRod
from tests.kubernetes.test_chart import NODE_HOPS
from tests.peers.hotrod_traces import check_rides
from tests.peers.jaeger_api import JaegerApi
from tests.requirements import lack

pytestmark = [pytest.mark.kubernetes, pytest.mark.bpf]

RIDES = 11
"""A trace each: that one of three plugins gets all of them happens once in sixty thousand runs."""

PLUGINS = 3
COLLECTOR = f"collector.{NAMESPACE}.svc"
PORTS = {"OTLP_GRPC_ENDPOINT": 4317, "OTLP_HTTP_ENDPOINT": 4318, "INJECTED_ENDPOINT": 14317}
SETTINGS = (
    f"plugin.replicas={PLUGINS}",
    f"plugin.config.exporters.otlp.endpoint={COLLECTOR}:{PORTS['INJECTED_ENDPOINT']}",
    f"probe.config.exporters.otlp.endpoint={COLLECTOR}:{PORTS['OTLP_GRPC_ENDPOINT']}",
)
CONFIG = ROOT / "otel-config" / "collector-loadbalancing.yaml"


def describe_collector(backend: str) -> Iterator[dict[str, object]]:
    """Yield the Collector's objects: its file as it lies in the repository, its places by the environment."""
    labels = {"app": "collector"}
    place = {"name": "collector", "namespace": NAMESPACE}
    places = {name: f"0.0.0.0:{port}" for name, port in PORTS.items()}
    places |= {"PLUGIN_HOST": f"{PLUGIN}-headless.{NAMESPACE}.svc", "BACKEND_ENDPOINT": backend}
    container = {
        "name": "collector",
        "image": "localhost/otelcol:1",
        "imagePullPolicy": "Never",
        "args": ["--config", f"/etc/otelcol/{CONFIG.name}"],
        "env": [{"name": name, "value": value} for name, value in places.items()],
        "readinessProbe": render_readiness(PORTS["INJECTED_ENDPOINT"]),
        "volumeMounts": [{"name": "config", "mountPath": "/etc/otelcol"}],
    }
    volume = {"name": "config", "configMap": {"name": "collector"}}
    pod = {"containers": [container], "volumes": [volume], "terminationGracePeriodSeconds": 1}
    yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": place, "data": {CONFIG.name: CONFIG.read_text()}}
    yield {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": place,
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }
    ports = [{"name": f"port-{port}", "port": port} for port in PORTS.values()]
    yield {"apiVersion": "v1", "kind": "Service", "metadata": place, "spec": {"selector": labels, "ports": ports}}


@pytest.fixture
def collector(cluster: Cluster, chart: Chart, jaeger: JaegerApi) -> Iterator[str]:
    """A Collector in the cluster, before Jaeger; its name for OTLP/HTTP."""
    program = find_collector()
    if program is None:
        lack("the Collector is not built (make collector)")
    cluster.add_image("otelcol", ["/otelcol"], {"/otelcol": program})
    # First: it asks for the plugins' addresses as it starts, and then every five seconds.
    chart.ensure(*SETTINGS)
    manifest = "\n---\n".join(map(json.dumps, describe_collector(jaeger.otlp)))
    cluster.kubectl.apply(manifest)
    cluster.kubectl.run("rollout", "status", "--namespace", NAMESPACE, "deployment/collector")
    yield f"{COLLECTOR}:{PORTS['OTLP_HTTP_ENDPOINT']}"
    cluster.kubectl.run("delete", "-f", "-", text_input=manifest)


@pytest.fixture
def sending_hotrod(cluster: Cluster, hotrod: HotRod, collector: str) -> Iterator[HotRod]:
    """HotROD, whose spans go to the Collector."""
    (pod, *_) = cluster.kubectl.read("pods", "-n", hotrod.namespace)["items"]
    variables = {one["name"]: one["value"] for one in pod["spec"]["containers"][0]["env"]}
    send_spans(hotrod, f"http://{collector}")
    yield hotrod
    send_spans(hotrod, variables["OTEL_EXPORTER_OTLP_ENDPOINT"])


def send_spans(hotrod: HotRod, url: str) -> None:
    """Have all of HotROD send its spans there."""
    variable = f"OTEL_EXPORTER_OTLP_ENDPOINT={url}"
    hotrod.cluster.kubectl.run("set", "env", "-n", hotrod.namespace, "deployment", "--all", variable)
    hotrod.wait_until_ready()


def count_joined(chart: Chart) -> list[int]:
    """Return how many transits each plugin has joined."""
    joined = []
    for pod in chart.list_pods("collector-plugin"):
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}:29465/proxy/metrics"
        page = chart.cluster.kubectl.run("get", "--raw", path)
        (number,) = re.findall(r"^hopspan_plugin_joined_transits_total (\S+)$", page, re.MULTILINE)
        joined.append(int(float(number)))
    return joined


def test_each_trace_meets_in_one_plugin(chart: Chart, sending_hotrod: HotRod, jaeger: JaegerApi) -> None:
    """Spans and transits find each other as with one plugin, and the plugins share the traces."""
    since_ns = time.time_ns()
    sending_hotrod.ride(RIDES)
    check_rides(jaeger, RIDES, since_ns, NODE_HOPS)
    joined = count_joined(chart)
    assert len(joined) == PLUGINS
    assert sum(count > 0 for count in joined) > 1
