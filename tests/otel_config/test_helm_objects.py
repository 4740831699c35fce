"""The chart's objects among each other: selectors find, ports exist, Secrets are mounted, nothing outlives them."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.otel_config.helm_chart import NAMESPACE, OPTIONS, Object, find, list_pods, read_config, render

pytestmark = pytest.mark.kubernetes

Labels = dict[str, str]

POLICY = {"networkPolicy": {"enabled": True, "nodes": ["10.0.0.0/8"]}}


@pytest.fixture(scope="module")
def objects() -> list[Object]:
    """Render everything that the chart has."""
    return render(OPTIONS)


def match(selector: Labels, labels: Labels) -> bool:
    """Tell whether a selector selects these labels."""
    return bool(selector) and selector.items() <= labels.items()


def list_names(objects: list[Object]) -> Iterator[tuple[Labels, set[str | int]]]:
    """Yield of each workload its labels, and its ports by name and by number."""
    for _, labels, spec in list_pods(objects):
        ports = spec["containers"][0]["ports"]
        yield labels, {port["name"] for port in ports} | {port["containerPort"] for port in ports}


def find_pod(objects: list[Object], selector: Labels) -> set[str | int]:
    """Return the ports of the one workload that is selected."""
    (ports,) = [ports for labels, ports in list_names(objects) if match(selector, labels)]
    return ports


def test_workloads_select_their_own_pods(objects: list[Object]) -> None:
    """And nobody else's."""
    for one, labels, _ in list_pods(objects):
        selector = one["spec"]["selector"]["matchLabels"]
        assert match(selector, labels)
        find_pod(objects, selector)
    deployment = find(objects, "Deployment")["spec"]["template"]["spec"]
    default = find(render(), "Deployment")["spec"]["template"]["spec"]["topologySpreadConstraints"]
    find_pod(objects, default[0]["labelSelector"]["matchLabels"])
    assert deployment["topologySpreadConstraints"]


def test_services_lead_to_ports_of_the_plugin(objects: list[Object]) -> None:
    """Every port of a pod's receivers, by its name, at the same number; one Service has an address, one has all."""
    services = [one for one in objects if one["kind"] == "Service"]
    for service in services:
        found = find_pod(objects, service["spec"]["selector"])
        ports = service["spec"]["ports"]
        assert {port["targetPort"] for port in ports} | {port["port"] for port in ports} == found
    assert sorted(service["spec"]["clusterIP"] for service in services) == ["10.96.0.50", "None"]


def test_default_endpoint_of_the_probe_is_the_service() -> None:
    """Its name is resolved in the cluster, though the probe is in the node's network."""
    objects = render()
    service = find(objects, "Service", "-plugin")["metadata"]["name"]
    assert f"endpoint: {service}.{NAMESPACE}.svc:24317\n" in read_config(objects, "node-probe")
    assert find(objects, "DaemonSet")["spec"]["template"]["spec"]["dnsPolicy"] == "ClusterFirstWithHostNet"


def test_monitors_find_each_program_once(objects: list[Object]) -> None:
    """The headless Service would show the plugin a second time."""
    services = [one for one in objects if one["kind"] == "Service"]
    monitor = find(objects, "ServiceMonitor")["spec"]
    (service,) = [s for s in services if match(monitor["selector"]["matchLabels"], s["metadata"]["labels"])]
    assert monitor["endpoints"][0]["port"] in {port["name"] for port in service["spec"]["ports"]}
    probe = find(objects, "PodMonitor")["spec"]
    assert probe["podMetricsEndpoints"][0]["port"] in find_pod(objects, probe["selector"]["matchLabels"])
    for kind in ("ServiceMonitor", "PodMonitor", "PrometheusRule"):
        assert find(objects, kind)["metadata"]["labels"]["release"] == "prometheus"


def test_kubelet_asks_where_the_program_listens() -> None:
    """At a port that exists; of the probe, which is in the node's network, at the address that it listens on."""
    own = {"probe": {"config": {"telemetry": {"metrics": {"endpoint": "[::]:9100"}}}}}
    for values, host in (({}, "127.0.0.1"), (OPTIONS, "127.0.0.1"), (own, "::1")):
        for one, _, spec in list_pods(render(values)):
            (container,) = spec["containers"]
            for name, page in (("startupProbe", "/ready"), ("readinessProbe", "/ready"), ("livenessProbe", "/live")):
                asked = container[name]["httpGet"]
                assert asked["port"] in {port["name"] for port in container["ports"]}
                assert asked["path"] == page
                assert asked.get("host") == (host if one["kind"] == "DaemonSet" else None)


def test_policy_lets_in_whom_it_names(objects: list[Object]) -> None:
    """Probes by their nodes' addresses, applications at the receivers alone, the metrics for those who are named."""
    policy = find(objects, "NetworkPolicy")["spec"]
    ports = {name for name in find_pod(objects, policy["podSelector"]["matchLabels"]) if isinstance(name, str)}
    nodes, applications, metrics = policy["ingress"]
    assert [peer["ipBlock"]["cidr"] for peer in nodes["from"]] == OPTIONS["networkPolicy"]["nodes"]
    assert applications["from"] == [{"namespaceSelector": {}}]
    assert {port["port"] for port in applications["ports"]} == ports - {"metrics"}
    assert [port["port"] for port in metrics["ports"]] == ["metrics"]
    dns, api_server, backends = policy["egress"]
    assert [port["port"] for port in api_server["ports"]] == [443, 6443]
    assert {(port["port"], port["protocol"]) for port in dns["ports"]} == {(53, "UDP"), (53, "TCP")}
    assert sorted(port["port"] for port in backends["ports"]) == [443, 4317, 4318]
    assert backends["to"] == [{"podSelector": {}}]


@pytest.mark.parametrize(
    ("exporters", "ports"),
    [
        ({"otlp": {"endpoint": "[fd00::1]:4317"}}, [4317]),
        ({"otlp": None, "zipkin": {"endpoint": "http://zipkin/api/v2/spans"}}, [80]),
        ({"otlp": None, "otlp_http": {"traces_endpoint": "https://tempo/v1/traces:8080"}}, [443]),
    ],
)
def test_policy_lets_out_to_the_backend(exporters: Mapping[str, Any], ports: list[int]) -> None:
    """At the exporter's port, given or the scheme's."""
    rendered = render(POLICY, {"plugin": {"config": {"exporters": exporters}}})
    backends = find(rendered, "NetworkPolicy")["spec"]["egress"][1]
    assert [port["port"] for port in backends["ports"]] == ports
    assert "to" not in backends


def test_disruption_budget_is_for_several(objects: list[Object]) -> None:
    """With one plugin it would say nothing, or keep a node from being drained."""
    budget = find(objects, "PodDisruptionBudget")["spec"]
    assert "otlp-grpc" in find_pod(objects, budget["selector"]["matchLabels"])
    assert budget["maxUnavailable"] == "50%"
    assert not [one for one in render() if one["kind"] == "PodDisruptionBudget"]


def test_every_file_of_a_secret_is_mounted(objects: list[Object]) -> None:
    """Whatever the configurations name lies in a volume, which is there, and for the program's user alone."""
    for _, _, spec in list_pods(objects):
        (container,) = spec["containers"]
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert mounts.keys() == {volume["name"] for volume in spec["volumes"]}
        named = re.findall(r"/etc/hopspan/secrets/[^/\s]+", read_config(objects, container["name"]))
        assert named
        assert set(named) <= set(mounts.values())
        for volume in spec["volumes"]:
            if "secret" in volume:
                assert mounts[volume["name"]].endswith(f"/{volume['secret']['secretName']}")
                assert volume["secret"]["defaultMode"] == 0o440


def test_namespaces_are_seen_with_pod_points_alone() -> None:
    """Those that come later too; nothing else of the node's files is."""
    spec = find(render({"probe": {"podPoints": {"enabled": True}}}), "DaemonSet")["spec"]["template"]["spec"]
    assert [volume["hostPath"]["path"] for volume in spec["volumes"] if "hostPath" in volume] == ["/run/netns"]
    (mount,) = [mount for mount in spec["containers"][0]["volumeMounts"] if mount["name"] == "namespaces"]
    assert (mount["readOnly"], mount["mountPropagation"]) == (True, "HostToContainer")
    without = find(render(), "DaemonSet")["spec"]["template"]["spec"]
    assert not [volume for volume in without["volumes"] if "hostPath" in volume]


def test_names_take_the_least_rights() -> None:
    """Lists and watches of pods and services, for the plugin's account alone; none without them."""
    objects = render({"kubernetes": {"names": {"enabled": True}}})
    role, binding = find(objects, "ClusterRole"), find(objects, "ClusterRoleBinding")
    assert role["rules"] == [{"apiGroups": [""], "resources": ["pods", "services"], "verbs": ["list", "watch"]}]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    account = find(objects, "ServiceAccount", "-plugin")["metadata"]
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]}
    ]
    assert "kubernetes:\n  enabled: true\n" in read_config(objects, "collector-plugin")
    assert not [one for one in render() if one["kind"].startswith(("Cluster", "Role"))]


def test_nothing_outlives_the_release(objects: list[Object]) -> None:
    """No hooks, no definitions, nothing that is kept, and everything but a role in the release's namespace."""
    for one in objects:
        metadata = one["metadata"]
        assert metadata.get("namespace") == (None if one["kind"].startswith("Cluster") else NAMESPACE)
        assert "finalizers" not in metadata
        assert not [key for key in metadata.get("annotations", {}) if key.startswith("helm.sh/")]
        assert one["kind"] not in {"CustomResourceDefinition", "Namespace", "PersistentVolumeClaim"}


def test_common_labels(objects: list[Object]) -> None:
    """Everybody's recommended ones, and the user's own."""
    for one in objects:
        labels = one["metadata"]["labels"]
        assert labels["team"] == "net"
        assert labels["app.kubernetes.io/name"] == "hopspan"
        assert labels["app.kubernetes.io/instance"] == "demo"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert labels["helm.sh/chart"].startswith("hopspan-")
        assert all(len(value) <= 63 for value in labels.values())


@pytest.mark.parametrize("release", ["hopspan", "a", "x" * 53])
def test_names_of_any_release(release: str) -> None:
    """They are the release's, unlike each other, and no longer than a label may be."""
    names = [(one["kind"], one["metadata"]["name"]) for one in render(OPTIONS, release=release)]
    assert len(names) == len(set(names))
    assert all(name.startswith(release[:46]) for _, name in names)
    assert all(len(name) <= 63 or kind.startswith("Cluster") for kind, name in names)
    assert ("Service", "hopspan-plugin") in names or release != "hopspan"
