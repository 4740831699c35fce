"""Values that the chart refuses: each error names the value, before anything is installed."""

from typing import Any

import pytest

from tests.otel_config.helm_chart import CHART, OPTIONS, read_fault, run_helm

pytestmark = pytest.mark.kubernetes

PLUGIN_TLS = {"plugin": {"tls": {"secretName": "plugin-tls"}}}
SECRETS = "/etc/hopspan/secrets"
TWO_EXPORTERS = {"plugin": {"config": {"exporters": {"zipkin": {"endpoint": "http://zipkin:9411/api/v2/spans"}}}}}

SCHEMA_FAULTS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"prob": {}}, ("prob",)),
    ({"probe": {"replicas": 3}}, ("/probe", "replicas")),
    ({"probe": {"privileged": True}}, ("/probe", "privileged")),
    ({"probe": {"config": {"point": {}}}}, ("/probe/config", "point")),
    ({"probe": {"config": {"limits": {"memory_mib": 3}}}}, ("/probe/config/limits/memory_mib", "3")),
    ({"probe": {"config": {"exporters": {"otlp": {"endpoint": "http://a:1"}}}}}, ("/probe/config/exporters/otlp",)),
    ({"probe": {"podPoints": True}}, ("/probe/podPoints", "boolean")),
    ({"probe": {"terminationGracePeriodSeconds": "30s"}}, ("/probe/terminationGracePeriodSeconds",)),
    ({"plugin": {"replicas": 0}}, ("/plugin/replicas", "0")),
    ({"plugin": {"config": {"windw": "60s"}}}, ("/plugin/config", "windw")),
    ({"plugin": {"config": {"window": 60}}}, ("/plugin/config/window",)),
    ({"plugin": {"config": {"exporters": {"otlp": {"endpoint": None}}}}}, ("/plugin/config/exporters/otlp",)),
    ({"plugin": {"config": {"exporters": {"kafka": {"endpoint": "a:1"}}}}}, ("/plugin/config/exporters", "kafka")),
    ({"plugin": {"listenAddress": "::"}}, ("/plugin/listenAddress",)),
    ({"plugin": {"service": {"type": "Ingress"}}}, ("/plugin/service/type", "ClusterIP")),
    ({"plugin": {"podDisruptionBudget": {"maxUnavailable": "half"}}}, ("maxUnavailable",)),
    ({"plugin": {"tls": {"secretName": "Plugin TLS"}}}, ("/plugin/tls/secretName",)),
    ({"image": {"pullPolicy": "Sometimes"}}, ("/image/pullPolicy", "IfNotPresent")),
    ({"image": {"tag": "a:b"}}, ("/image/tag",)),
    ({"metrics": {"monitors": {"interval": 30}}}, ("/metrics/monitors/interval",)),
    ({"networkPolicy": {"enabled": True, "nodes": ["10.0.0.1"]}}, ("/networkPolicy/nodes/0", "10.0.0.1")),
    ({"fullnameOverride": "x" * 50}, ("/fullnameOverride",)),
]

CONTRADICTIONS: list[tuple[dict[str, Any], str]] = [
    ({"plugin": {"config": {"exporters": {"otlp": None}}}}, "plugin.config.exporters: names no backend"),
    (TWO_EXPORTERS, "plugin.acknowledgingExporter: required with several exporters (otlp, zipkin)"),
    (
        {"plugin": {"config": {"exporters": {"file/a": {"path": "spans.jsonl"}}}}},
        "plugin.config.exporters.file/a: the pod can write no file",
    ),
    (
        {
            "plugin": {
                "config": {"exporters": {"otlp": {"tls": {"insecure": None, "ca_file": f"{SECRETS}/ca/ca.crt"}}}}
            }
        },
        "plugin.secretMounts: lacks ca, of which the configuration names a file",
    ),
    (
        {"probe": {"config": {"exporters": {"otlp": {"auth": {"bearer_token_file": f"{SECRETS}/my.token/t"}}}}}},
        "probe.secretMounts: lacks my.token, of which the configuration names a file",
    ),
    ({"plugin": {"acknowledgingExporter": "zipkin"}}, "plugin.acknowledgingExporter: zipkin is not one of"),
    ({"plugin": {"replicas": 2}}, "probe.config.exporters.otlp.endpoint: required with several plugin.replicas"),
    ({"plugin": {"enabled": False}}, "probe.config.exporters.otlp.endpoint: required while plugin.enabled is false"),
    ({"plugin": {"tls": {"clientCa": True}}}, "plugin.tls.secretName: required with plugin.tls.clientCa"),
    (PLUGIN_TLS, "probe.tls.enabled: required, since the plugin speaks TLS alone"),
    (
        {"plugin": {"auth": {"secretName": "tokens"}}},
        "probe.auth.secretName: required, since the plugin asks for a token",
    ),
    ({"probe": {"tls": {"enabled": True, "clientCertificate": True}}}, "probe.tls.secretName: required"),
    ({"probe": {"tls": {"secretName": "a"}}}, "probe.tls.secretName: has no effect while probe.tls.enabled is false"),
    (
        {"plugin": {"config": {"kubernetes": {"enabled": True}}}},
        "plugin.config.kubernetes.enabled: set kubernetes.names",
    ),
    ({"probe": {"config": {"points": {"pod": True}}}}, "probe.config.points.pod: set probe.podPoints.enabled"),
    (
        {
            "metrics": {"monitors": {"enabled": True}},
            "probe": {"config": {"telemetry": {"metrics": {"endpoint": "localhost:29464"}}}},
        },
        "probe.config.telemetry.metrics.endpoint: metrics.monitors.enabled needs an address",
    ),
    (
        {"plugin": {"config": {"receivers": {"otlp": {"protocols": {"grpc": {"endpoint": "localhost:24317"}}}}}}},
        "plugin.config: nobody outside of the pod reaches localhost:24317 (otlp-grpc)",
    ),
    ({"plugin": {"preStopSeconds": 30}}, "plugin.terminationGracePeriodSeconds: leaves less than 15 s"),
    ({"networkPolicy": {"enabled": True}}, "networkPolicy.nodes: required with networkPolicy.enabled"),
]


@pytest.mark.parametrize(("values", "words"), SCHEMA_FAULTS, ids=[" ".join(words) for _, words in SCHEMA_FAULTS])
def test_wrong_value_is_named(values: dict[str, Any], words: tuple[str, ...]) -> None:
    """Unknown, of a wrong type, or impossible: the place and the value stand in the error."""
    fault = read_fault(values)
    assert "values don't meet the specifications of the schema" in fault
    assert [word for word in words if word not in fault] == []


@pytest.mark.parametrize(("values", "sentence"), CONTRADICTIONS, ids=[sentence for _, sentence in CONTRADICTIONS])
def test_contradiction_is_told(values: dict[str, Any], sentence: str) -> None:
    """What no schema sees is one sentence that begins with the value to change."""
    assert sentence in read_fault(values)


def test_nothing_is_taken_for_granted() -> None:
    """Without any value Helm says what is missing, and how it is given."""
    done = run_helm("template", "demo", str(CHART))
    assert done.returncode != 0
    assert "--set plugin.config.exporters.otlp.endpoint=jaeger:4317" in done.stderr


def test_old_kubernetes_is_told() -> None:
    """The chart needs what its objects need."""
    done = run_helm("template", "demo", str(CHART), "--kube-version", "1.24.0", "-f", "-", values=OPTIONS)
    assert done.returncode != 0
    assert "kubeVersion" in done.stderr
