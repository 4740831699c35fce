"""Dashboard and alert rules: every metric that they name is one that the programs serve, and every label is its."""

import re
import urllib.request

import pytest

from collector_plugin.flow_settings import FlowSettings
from collector_plugin.kubernetes_settings import KubernetesSettings
from hopspan.http_url import read_http_url
from hopspan.metrics import Histogram, MetricKind
from node_probe.flow_report import read_flow_metrics
from tests.collector_plugin.plugin_bench import Bench
from tests.house.repository import ROOT
from tests.node_probe.test_report import read_all
from tests.otel_config.monitoring import DASHBOARD, list_panels, list_rules, list_variables

METRICS = (ROOT / "docs" / "metrics.md").read_text()

NAME = re.compile(r"(?<![\w:])hopspan_[a-z0-9_]+")
LABELS = re.compile(r"(?:by|on) \(([a-z_, ]+)\)|([a-z_]+)(?:=~|!~|!=|=)\"")
OF_PROMETHEUS = {"instance", "job", "le"}
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}


def list_expressions() -> list[str]:
    """Return every expression of rules, panels and variables."""
    expressions = [rule["expr"] for rule in list_rules()]
    expressions += [target["expr"] for panel in list_panels() for target in panel["targets"]]
    return expressions + [variable["query"] for variable in list_variables()]


@pytest.fixture(scope="module")
def served() -> set[str]:
    """Return the names of all samples that the two programs serve."""
    kubernetes = KubernetesSettings(enabled=True, api_server=read_http_url("http://localhost:9"))
    bench = Bench(kubernetes, FlowSettings(enabled=True))
    url = f"http://localhost:{bench.plugin.metrics_port}/metrics"
    request = urllib.request.Request(url, headers={"Accept": "application/openmetrics-text"})
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - ours
        page = answer.read().decode()
    bench.plugin.stop()
    bench.close()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE))
    flows = {metric.name: metric for metric in read_flow_metrics(None, None)}
    for name, metric in (read_all() | flows).items():
        is_counter = not isinstance(metric, Histogram) and metric.kind is MetricKind.COUNTER
        kinds[name] = "histogram" if isinstance(metric, Histogram) else "counter" if is_counter else "gauge"
    return {name + suffix for name, kind in kinds.items() for suffix in SUFFIXES[kind]}


@pytest.mark.parametrize("expression", list_expressions())
def test_every_metric_is_served(expression: str, served: set[str]) -> None:
    """A name with a slip in it would make an alert that never comes, and an empty panel."""
    assert set(NAME.findall(expression)) <= served


@pytest.mark.parametrize("expression", list_expressions())
def test_every_label_is_documented(expression: str) -> None:
    """The same of labels."""
    for together, single in LABELS.findall(expression):
        for label in filter(None, [single, *together.replace(" ", "").split(",")]):
            assert label in OF_PROMETHEUS or f"`{label}`" in METRICS, label


def test_every_loss_is_watched() -> None:
    """Where something can be lost, an alert or a panel names the count."""
    losses = re.findall(r"^\| `(hopspan_\w+(?:dropped|refused|released|failed|forgotten)\w*)`", METRICS, re.MULTILINE)
    text = " ".join(list_expressions())
    assert len(losses) >= 6
    assert [name for name in losses if name not in text] == []


def test_alerts_say_what_to_do() -> None:
    """Each has a severity, a summary and a description, and its labels are those that its expression keeps."""
    for rule in list_rules():
        if "alert" in rule:
            assert rule["labels"]["severity"] in {"info", "warning", "critical"}
            assert set(rule["annotations"]) == {"summary", "description"}


def test_panels_do_not_overlap() -> None:
    """Each panel has a title, a unit and a place of its own on the grid of 24 columns."""
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (column, line)
            for column in range(place["x"], place["x"] + place["w"])
            for line in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert max(column for column, _ in cells) < 24
        assert panel["title"]
        assert panel["type"] == "row" or panel["fieldConfig"]["defaults"]["unit"]
        taken |= cells
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
