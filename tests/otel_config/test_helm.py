"""The Helm chart: what it gives is accepted by the programs, has their least rights, and leaves nothing behind."""

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from collector_plugin.config import PluginConfig
from collector_plugin.plugin import DRAIN_NS, IN_FLIGHT_GRACE_S, TRACES_DRAIN_NS
from hopspan.config import parse_config
from node_probe.capabilities import HOST_POINTS, Capability
from node_probe.config import ProbeConfig
from tests.house.repository import tracked_files
from tests.otel_config.helm_chart import (
    CHART,
    CONFIG,
    LEAST,
    NAMESPACE,
    OPTIONS,
    WORKLOADS,
    Object,
    Values,
    find,
    list_pods,
    merge,
    read_config,
    render,
    run_helm,
)

pytestmark = pytest.mark.kubernetes

SEVERAL_RECEIVERS: Values = {"plugin": {"config": {"receivers": {"otlp": {"protocols": {"http": {}}}, "zipkin": {}}}}}
CASES: dict[str, Values] = {
    "least": {},
    "options": OPTIONS,
    "pod points": {"probe": {"podPoints": {"enabled": True, "namespaces": "/run/docker/netns"}}},
    "receivers": SEVERAL_RECEIVERS,
    "IPv6": {"plugin": {"listenAddress": "[::]"}},
    "guarded": merge(
        SEVERAL_RECEIVERS,
        {"plugin": {"tls": {"secretName": "plugin-tls"}}, "probe": {"tls": {"enabled": True, "secretName": "ca"}}},
    ),
    "tap": {"plugin": {"config": {"mode": "tap", "spans": {"slow_threshold": "2ms", "detail": "slow"}}}},
    "own endpoints": {
        "probe": {"config": {"telemetry": {"metrics": {"endpoint": "0.0.0.0:9100"}}, "contexts": ["b3"]}},
        "plugin": {"config": {"receivers": {"otlp": {"protocols": {"grpc": {"endpoint": "0.0.0.0:4317"}}}}}},
    },
    "probe alone": {
        "plugin": {"enabled": False},
        "probe": {"config": {"exporters": {"otlp": {"endpoint": "c:4317", "headers": {"x-tenant": "1"}}}}},
    },
    "plugin alone": {"probe": {"enabled": False}},
    "monitored": {"metrics": {"monitors": {"enabled": True}, "rules": {"enabled": True}}},
    "names": {"kubernetes": {"names": {"enabled": True}}},
    "policy": {"networkPolicy": {"enabled": True, "nodes": ["10.0.0.0/8", "fd00::/8"], "backendPorts": [14317]}},
}

KINDS: dict[str, type[Any]] = {"node-probe": ProbeConfig, "collector-plugin": PluginConfig}


@pytest.fixture(params=CASES, scope="module")
def objects(request: pytest.FixtureRequest) -> list[Object]:
    """Render one of the cases."""
    return render(CASES[request.param])


@pytest.mark.parametrize("values", [{}, LEAST, OPTIONS], ids=["none", "least", "options"])
def test_lint(values: Values) -> None:
    """Helm itself has nothing to find."""
    done = run_helm("lint", "--strict", str(CHART), "-f", "-", values=values)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout


def test_package_has_what_it_needs(tmp_path: Path) -> None:
    """All files of the folder and no others, and it renders as the folder does."""
    done = run_helm("package", str(CHART), "-d", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (package,) = tmp_path.iterdir()
    with tarfile.open(package) as archive:
        names = {name.removeprefix("hopspan/") for name in archive.getnames()}
    assert names == {str(path.relative_to(CHART)) for path in tracked_files("otel-config/helm/*")}
    rendered = run_helm("template", "demo", str(package), "-n", NAMESPACE, "-f", "-", values=LEAST).stdout
    assert [document for document in yaml.safe_load_all(rendered) if document] == render()


def test_images_are_those_of_the_version() -> None:
    """Unless another tag is given."""
    for values, image in (({}, "localhost/hopspan-{}:"), (OPTIONS, "registry.example.com/observability/hopspan-{}:")):
        for _, _, spec in list_pods(render(values)):
            (container,) = spec["containers"]
            version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
            tag = "0.1.0-1" if values else version
            assert container["image"] == image.format(container["name"]) + tag


def test_rules_and_dashboard_are_in_their_objects_whole() -> None:
    """They have braces of their own, which Helm leaves alone."""
    objects, files = render(OPTIONS), CHART / "files"
    rule, dashboard = find(objects, "PrometheusRule"), find(objects, "ConfigMap", "-dashboard")
    assert rule["spec"] == yaml.safe_load((files / "hopspan-rules.yaml").read_text())
    (page,) = dashboard["data"].values()
    assert json.loads(page) == json.loads((files / "hopspan-dashboard.json").read_text())
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_programs_take_their_configuration(objects: list[Object]) -> None:
    """Rendered files are read by the code that reads them in the pod."""
    for one, _, spec in list_pods(objects):
        program = spec["containers"][0]["name"]
        parse_config(read_config(objects, program), KINDS[program])
        (mount,) = [m for m in spec["containers"][0]["volumeMounts"] if m["name"] == "config"]
        assert spec["containers"][0]["args"] == ["--config", mount["mountPath"]]
        assert mount["mountPath"].endswith(mount["subPath"])
        assert one["metadata"]["namespace"] == NAMESPACE


def test_numbers_and_texts_arrive_as_they_were_given() -> None:
    """Helm reads all numbers as floating point; what was whole stays whole."""
    objects = render(OPTIONS)
    probe = parse_config(read_config(objects, "node-probe"), ProbeConfig)
    plugin = parse_config(read_config(objects, "collector-plugin"), PluginConfig)
    assert (probe.points.rate_limit, probe.limits.memory_mib, probe.limits.cpu) == (1_000_000, 300, 1.5)
    assert (plugin.spans.max_per_trace, plugin.window) == (1_000_000, 30 * 10**9)
    assert probe.points.exclude == ("docker*",)


@pytest.mark.parametrize(
    ("program", "config"),
    [
        ("probe", {"telemetry": None}),
        ("probe", {"telemetry": {"metrics": None}, "points": None}),
        ("probe", {"exporters": {"otlp": {"tls": None}}}),
        ("plugin", {"telemetry": {"metrics": None, "traces": None}, "kubernetes": None}),
        ("plugin", {"receivers": None}),
        ("plugin", {"receivers": {"otlp": {"protocols": {"grpc": None, "http": None}}, "zipkin": None}}),
    ],
    ids=str,
)
def test_null_is_what_is_not_said(program: str, config: dict[str, Any]) -> None:
    """A mapping without a value is read as the programs read it: by its defaults."""
    values = {program: {"config": {**LEAST[program]["config"], **config} if program == "plugin" else config}}
    text = {**LEAST, **values}
    done = run_helm("template", "demo", str(CHART), "-n", NAMESPACE, "-f", "-", values=text)
    assert done.returncode == 0, done.stderr
    assert [document for document in yaml.safe_load_all(done.stdout) if document] == render()


def test_probe_has_exactly_the_rights_of_the_code() -> None:
    """Three capabilities, and with pod points one more; Kubernetes writes them without CAP_."""
    for values, more in ((LEAST, set()), (CASES["pod points"], {Capability.SYS_ADMIN})):
        (_, _, spec) = next(pod for pod in list_pods(render(values)) if pod[0]["kind"] == "DaemonSet")
        capabilities = spec["containers"][0]["securityContext"]["capabilities"]
        assert capabilities["drop"] == ["ALL"]
        assert sorted(capabilities["add"]) == sorted(one.name for one in HOST_POINTS | more)
        assert spec["hostNetwork"] is True
        assert not spec.get("hostPID") and not spec.get("hostIPC")  # noqa: PT018 - one sentence


def test_least_rights(objects: list[Object]) -> None:
    """Nobody is privileged, writes to its image, or holds a token of the API; the plugin has no right at all."""
    for _, _, spec in list_pods(objects):
        (container,) = spec["containers"]
        context = container["securityContext"]
        assert (context["privileged"], context["allowPrivilegeEscalation"]) == (False, False)
        assert context["readOnlyRootFilesystem"] is True
        assert {**spec.get("securityContext", {}), **context}["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is has_role(objects, spec)
        if container["name"] == "collector-plugin":
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert spec["securityContext"]["runAsNonRoot"] is True
            assert spec["securityContext"]["runAsUser"] > 0


def has_role(objects: list[Object], spec: Object) -> bool:
    """Tell whether the pod's account may do anything at the API."""
    bindings = [one for one in objects if one["kind"] == "ClusterRoleBinding"]
    return spec["serviceAccountName"] in {subject["name"] for one in bindings for subject in one["subjects"]}


def test_node_is_named() -> None:
    """By Kubernetes, as the plugin shows it."""
    (_, _, spec) = next(list_pods(render({"plugin": {"enabled": False}}, CASES["probe alone"])))
    assert spec["containers"][0]["env"] == [
        {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
    ]
    assert spec["tolerations"] == [{"operator": "Exists"}]


def test_memory_limit_follows_the_configuration() -> None:
    """The agent's own bound and the compiler's 154 MiB fit below it, whatever the bound is."""
    for memory_mib in (100, 160, 2000):
        values = {"probe": {"config": {"limits": {"memory_mib": memory_mib}}}}
        limit = find(render(values), "DaemonSet")["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
        assert int(limit["memory"].removesuffix("Mi")) >= memory_mib + 154
        assert "cpu" not in limit


def test_plugin_has_the_time_to_deliver() -> None:
    """What stopping takes at most fits between preStop and the kill."""
    stopping_s = IN_FLIGHT_GRACE_S + (DRAIN_NS + TRACES_DRAIN_NS) / 1e9 + 1
    for version, pause_s in (("1.36.0", 5), ("1.29.0", 0)):
        spec = find(render(options=("--kube-version", version)), "Deployment")["spec"]["template"]["spec"]
        found = spec["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        assert found == pause_s
        assert spec["terminationGracePeriodSeconds"] >= found + stopping_s


def test_first_exporter_acknowledges() -> None:
    """Helm sorts mappings; the one that is named comes first all the same."""
    config = parse_config(read_config(render(OPTIONS), "collector-plugin"), PluginConfig)
    assert list(config.exporters) == ["zipkin", "otlp", "otlp_http/b"]


def test_changed_configuration_rolls_its_pods_alone() -> None:
    """Each workload's pods bear their own file, so that none starts with that of another time."""
    before, after = render(), render({"plugin": {"config": {"window": "90s"}}})
    assert read_config(before, "collector-plugin") != read_config(after, "collector-plugin")
    assert read_config(before, "node-probe") == read_config(after, "node-probe")
    assert find(before, "DaemonSet") == find(after, "DaemonSet")
    for program, kind in WORKLOADS.items():
        (volume,) = (
            one for one in find(after, kind)["spec"]["template"]["spec"]["volumes"] if one["name"] == "config"
        )
        (item,) = volume["downwardAPI"]["items"]
        assert item == {"path": f"{program}.yaml", "fieldRef": {"fieldPath": f"metadata.annotations['{CONFIG}']"}}
