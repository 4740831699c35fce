"""The page about Kubernetes: its commands fit the chart, and what it names exists."""

import re
import shlex

import pytest
import yaml

from node_probe.capabilities import HOST_POINTS, POD_POINTS
from tests.house.repository import ROOT
from tests.otel_config.helm_chart import CHART, Object, find, list_pods, run_helm

pytestmark = pytest.mark.kubernetes

PAGE = (ROOT / "docs" / "kubernetes.md").read_text()
COMMANDS = [
    shlex.split(line)
    for block in re.findall(r"^```\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
]
"""Each line of each block, as a shell's words."""


@pytest.fixture(scope="module")
def objects() -> list[Object]:
    """Render what the page's `helm install` installs."""
    (install,) = [words for words in COMMANDS if words[:2] == ["helm", "install"]]
    _, _, release, chart, *options = install
    done = run_helm("template", release, str(ROOT / chart), *options)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def test_install_gives_what_later_commands_name(objects: list[Object]) -> None:
    """Workloads, ports and containers' files are the chart's."""
    names = {f"{one['kind'].lower()}/{one['metadata']['name']}" for one in objects}
    named = {word for words in COMMANDS for word in words if re.match(r"(deployment|daemonset)/", word)}
    assert len(named) == 2
    assert named <= names
    assert {one["metadata"]["namespace"] for one in objects} == {"hopspan"}
    for words in COMMANDS:
        assert "--namespace" not in words or words[words.index("--namespace") + 1] == "hopspan"
    for _, _, spec in list_pods(objects):
        (container,) = spec["containers"]
        assert container["image"].startswith("registry.example.com/observability/hopspan-")
    (forward,) = [words[-1] for words in COMMANDS if "port-forward" in words]
    port, name = forward.split(":")
    assert {"name": name, "containerPort": int(port), "protocol": "TCP"} in find(objects, "Deployment")["spec"][
        "template"
    ]["spec"]["containers"][0]["ports"]


def test_services_are_those_of_the_chart(objects: list[Object]) -> None:
    """By the names that other namespaces use."""
    services = {
        f"{one['metadata']['name']}.{one['metadata']['namespace']}.svc": {p["port"] for p in one["spec"]["ports"]}
        for one in objects
        if one["kind"] == "Service"
    }
    named = re.findall(r"([a-z-]+\.hopspan\.svc)(?::(\d+))?", PAGE)
    assert {name for name, _ in named} == services.keys()
    assert all(int(port) in services[name] for name, port in named if port)


def test_every_value_exists() -> None:
    """As values.yaml has it, or the programs' configuration."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    named = re.findall(r"`((?:image|probe|plugin|metrics|networkPolicy)\b[a-zA-Z.]*)(?:=\w+)?`", PAGE)
    assert len(named) > 15
    for name in named:
        found = values
        for part in name.split("."):
            if part in ("config", "seLinuxOptions"):
                break  # the schemas' business, or Kubernetes'
            assert part in found, name
            found = found[part]


def test_rights_are_those_of_the_code() -> None:
    """The table has every capability that the probe may get, and no other."""
    (table,) = re.findall(r"^## Rights$(.*?)^No pod", PAGE, re.MULTILINE | re.DOTALL)
    known = {one.name for one in HOST_POINTS | POD_POINTS} - {"SYS_PTRACE"}
    assert set(re.findall(r"`([A-Z_]+)`", table)) == known


def test_number_that_grows_is_served() -> None:
    """The page's and the notes' metrics are documented ones."""
    notes = (CHART / "templates" / "NOTES.txt").read_text()
    metrics = (ROOT / "docs" / "metrics.md").read_text()
    named = set(re.findall(r"\b(hopspan_[a-z_]+?)_total\b", PAGE + notes))
    assert named == {"hopspan_plugin_joined_transits", "hopspan_probe_transits_sent"}
    assert all(f"`{name}`" in metrics for name in named)
