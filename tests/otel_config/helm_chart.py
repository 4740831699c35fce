"""The Helm chart, rendered by the real Helm: values in, Kubernetes' objects out, or the error that Helm shows."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from testbed.peers import find_helm
from tests.house.repository import ROOT
from tests.requirements import lack

CHART = ROOT / "otel-config" / "helm" / "hopspan"
NAMESPACE = "tracing"
WORKLOADS = {"collector-plugin": "Deployment", "node-probe": "DaemonSet"}
CONFIG = "hopspan/config"
"""The annotation of pods that has their configuration."""

Values = Mapping[str, Any]
Object = dict[str, Any]

LEAST: Values = {
    "plugin": {"config": {"exporters": {"otlp": {"endpoint": "jaeger:4317", "tls": {"insecure": True}}}}}
}
"""The values that have no default."""

OPTIONS: Values = {
    "commonLabels": {"team": "net"},
    "imagePullSecrets": [{"name": "registry"}],
    "image": {"registry": "registry.example.com/observability", "tag": "0.1.0-1", "pullPolicy": "Always"},
    "probe": {
        "config": {
            "points": {"exclude": ["docker*"], "rate_limit": 1_000_000},
            "limits": {"memory_mib": 300, "cpu": 1.5},
            "exporters": {"otlp": {"endpoint": "collector.tracing.svc:4317"}},
        },
        "podPoints": {"enabled": True},
        "tls": {"enabled": True, "secretName": "probe-tls", "clientCertificate": True},
        "auth": {"secretName": "probe.token"},
        "secretMounts": ["other"],
        "seLinuxOptions": {"type": "spc_t"},
        "priorityClassName": "system-node-critical",
        "podAnnotations": {"a": "b"},
        "podLabels": {"c": "d"},
    },
    "plugin": {
        "replicas": 3,
        "config": {
            "window": "30s",
            "spans": {"max_per_trace": 1_000_000, "detail": "summary"},
            "receivers": {"otlp": {"protocols": {"http": {}}}, "zipkin": {}},
            "exporters": {
                "zipkin": {"endpoint": "https://zipkin.example.com/api/v2/spans"},
                "otlp_http/b": {"endpoint": "http://tempo:4318"},
                "otlp": {
                    "endpoint": "jaeger:4317",
                    "tls": {"insecure": False, "ca_file": "/etc/hopspan/secrets/backend.ca/ca.crt"},
                },
            },
        },
        "acknowledgingExporter": "zipkin",
        "tls": {"secretName": "plugin-tls", "clientCa": True},
        "auth": {"secretName": "tokens"},
        "secretMounts": ["backend.ca"],
        "service": {"clusterIP": "10.96.0.50", "annotations": {"x": "y"}},
        "podDisruptionBudget": {"maxUnavailable": "50%"},
        "podAnnotations": {"a": "b"},
        "podLabels": {"c": "d"},
    },
    "kubernetes": {"names": {"enabled": True}},
    "metrics": {
        "monitors": {"enabled": True, "labels": {"release": "prometheus"}},
        "rules": {"enabled": True, "labels": {"release": "prometheus"}},
        "dashboard": {"enabled": True},
    },
    "networkPolicy": {
        "enabled": True,
        "nodes": ["172.30.0.0/24", "10.244.0.0/16"],
        "metricsFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        "to": [{"podSelector": {}}],
    },
}
"""Every part of the chart."""


def run_helm(*arguments: str, values: Values | None = None) -> "subprocess.CompletedProcess[str]":
    """Run Helm, with these values where the arguments say `-f -`."""
    helm = find_helm()
    if helm is None:
        lack("Helm is not built (make kubernetes)")
    text = json.dumps(values or {})
    return subprocess.run([helm, *arguments], input=text, capture_output=True, text=True, timeout=60, check=False)


def render(*values: Values, release: str = "demo", options: tuple[str, ...] = ()) -> list[Object]:
    """Return the objects that the chart gives with LEAST and, over it, these values."""
    merged = merge(LEAST, *values)
    done = run_helm("template", release, str(CHART), "-n", NAMESPACE, "-f", "-", *options, values=merged)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def read_fault(*values: Values) -> str:
    """Return what Helm says of these values, over LEAST, which it must refuse."""
    done = run_helm("template", "demo", str(CHART), "-n", NAMESPACE, "-f", "-", values=merge(LEAST, *values))
    assert done.returncode != 0, "taken"
    assert done.stdout == ""
    return done.stderr


def merge(*values: Values) -> dict[str, Any]:
    """Return the mappings over one another; None takes a key away."""
    merged: dict[str, Any] = {}
    for one in values:
        for key, value in one.items():
            below = merged.get(key)
            if isinstance(value, Mapping) and isinstance(below, Mapping):
                merged[key] = merge(below, value)
            else:
                merged[key] = value
    return {key: value for key, value in merged.items() if value is not None}


def find(objects: list[Object], kind: str, part: str = "") -> Object:
    """Return the one object of the kind whose name ends with `part`."""
    (found,) = [one for one in objects if one["kind"] == kind and one["metadata"]["name"].endswith(part)]
    return found


def list_pods(objects: list[Object]) -> Iterator[tuple[Object, Object, Object]]:
    """Yield of each workload its object, its pods' labels, and its pods' spec."""
    for one in objects:
        if one["kind"] in {"DaemonSet", "Deployment"}:
            template = one["spec"]["template"]
            yield one, template["metadata"]["labels"], template["spec"]


def read_config(objects: list[Object], program: str) -> str:
    """Return the program's file as its pod sees it."""
    (config,) = [
        one["spec"]["template"]["metadata"]["annotations"][CONFIG]
        for one in objects
        if one["kind"] == WORKLOADS[program]
    ]
    assert isinstance(config, str)
    return config
