"""The JSON schema of the Helm chart's values: what is Kubernetes' own is left to it, all else is strict.

Both programs' configuration is in it with their own schemas, so a wrong key is told before anything is installed.
"""

import copy
from typing import Any

from collector_plugin.config import PluginConfig
from hopspan.config_schema import build_schema
from node_probe.config import ProbeConfig

DIALECT = "http://json-schema.org/draft-07/schema#"
"""The newest that every Helm 3 reads."""

Schema = dict[str, Any]

BOOLEAN: Schema = {"type": "boolean"}
TEXT: Schema = {"type": "string"}
SECONDS: Schema = {"type": "integer", "minimum": 0}
OF_KUBERNETES: Schema = {"type": "object"}
PORT: Schema = {"type": "integer", "minimum": 1, "maximum": 65535}
LABELS: Schema = {"type": "object", "additionalProperties": TEXT}
# RFC 1123, as Kubernetes has it for names of Services; of Secrets with dots.
SERVICE_NAME: Schema = {"type": "string", "pattern": "^([a-z]([a-z0-9-]*[a-z0-9])?)?$", "maxLength": 46}
SECRET_NAME: Schema = {"type": "string", "pattern": "^([a-z0-9]([a-z0-9.-]*[a-z0-9])?)?$", "maxLength": 253}
CIDR: Schema = {"type": "string", "pattern": "^[0-9a-fA-F.:]+/[0-9]{1,3}$"}
SHARE: Schema = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]{1,3}%$"}]}
TOKEN_SECRET: Schema = {
    "type": "object",
    "properties": {"secretName": SECRET_NAME, "key": {"type": "string", "pattern": "^[A-Za-z0-9._-]+$"}},
    "additionalProperties": False,
}


def build_chart_schema() -> Schema:
    """Return the schema of values.yaml and of what users give in its place."""
    schema = _describe(
        nameOverride=SERVICE_NAME,
        fullnameOverride=SERVICE_NAME,
        commonLabels=LABELS,
        image=_describe(
            registry=TEXT,
            tag={"type": "string", "pattern": "^[A-Za-z0-9_.-]{0,128}$"},
            pullPolicy={"enum": ["Always", "IfNotPresent", "Never"]},
        ),
        imagePullSecrets=_list(OF_KUBERNETES),
        probe=_describe_probe(),
        plugin=_describe_plugin(),
        kubernetes=_describe(names=_describe(enabled=BOOLEAN)),
        metrics=_describe(
            monitors=_describe(
                enabled=BOOLEAN, interval={"type": "string", "pattern": "^([0-9]+(ms|s|m|h))+$"}, labels=LABELS
            ),
            rules=_describe(enabled=BOOLEAN, labels=LABELS),
            dashboard=_describe(enabled=BOOLEAN, labels=LABELS),
        ),
        networkPolicy=_describe(
            **{"from": _list(OF_KUBERNETES)},
            enabled=BOOLEAN,
            nodes=_list(CIDR),
            metricsFrom=_list(OF_KUBERNETES),
            to=_list(OF_KUBERNETES),
            backendPorts=_list(PORT),
            apiServerPorts=_list(PORT),
        ),
    )
    # Where the chart is a dependency, Helm adds `global`.
    schema["properties"]["global"] = OF_KUBERNETES
    return {"$schema": DIALECT, "title": "hopspan", **schema}


def _describe_probe() -> Schema:
    config = build_schema(ProbeConfig, "node-probe")
    # The chart gives the endpoint.
    return _describe(
        config=_make_optional(config),
        podPoints=_describe(enabled=BOOLEAN, namespaces={"type": "string", "pattern": "^/"}),
        tls=_describe(enabled=BOOLEAN, secretName=SECRET_NAME, clientCertificate=BOOLEAN),
        auth=TOKEN_SECRET,
        seccompProfile=OF_KUBERNETES,
        seLinuxOptions=OF_KUBERNETES,
        **_describe_pod(),
    )


def _describe_plugin() -> Schema:
    config = build_schema(PluginConfig, "collector-plugin")
    return _describe(
        replicas={"type": "integer", "minimum": 1},
        config={key: value for key, value in config.items() if key not in {"$schema", "title"}},
        acknowledgingExporter=TEXT,
        listenAddress={"type": "string", "pattern": r"^([^:/\[\]]+|\[[0-9a-fA-F:.]+\])$"},
        tls=_describe(secretName=SECRET_NAME, clientCa=BOOLEAN),
        auth=TOKEN_SECRET,
        service=_describe(
            type={"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
            clusterIP={"type": "string", "pattern": "^[0-9a-fA-F.:]*$"},
            annotations=LABELS,
        ),
        podDisruptionBudget=_describe(enabled=BOOLEAN, maxUnavailable=SHARE),
        preStopSeconds=SECONDS,
        topologySpreadConstraints=_list(OF_KUBERNETES),
        **_describe_pod(),
    )


def _describe_pod() -> Schema:
    """Return what both programs' pods have."""
    return {
        "enabled": BOOLEAN,
        "image": _describe(repository={"type": "string", "minLength": 1}),
        "secretMounts": _list({**SECRET_NAME, "minLength": 1}),
        "resources": OF_KUBERNETES,
        "tolerations": _list(OF_KUBERNETES),
        "nodeSelector": LABELS,
        "affinity": OF_KUBERNETES,
        "priorityClassName": TEXT,
        "updateStrategy": OF_KUBERNETES,
        "terminationGracePeriodSeconds": SECONDS,
        "podAnnotations": LABELS,
        "podLabels": LABELS,
        "serviceAccount": _describe(create=BOOLEAN, name=SECRET_NAME, annotations=LABELS),
    }


def _describe(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _make_optional(schema: Schema) -> Schema:
    """Return a copy in which no key has to be given."""
    optional = copy.deepcopy(schema)
    waiting: list[Any] = [optional]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            # A property of that name would have an object as value.
            if isinstance(found.get("required"), list):
                del found["required"]
            waiting.extend(found.values())
        elif isinstance(found, list):
            waiting.extend(found)
    return {key: value for key, value in optional.items() if key not in {"$schema", "title"}}
