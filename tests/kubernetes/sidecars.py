"""Two pods with sidecars, one a node: the stock Envoy with the shipped configuration, and an uninstrumented server.

A request that starts in the pod of `shop` goes by its sidecar to the Service `stock`, whose sidecar hands it on.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from testbed.deadline import wait_until
from testbed.errors import TestbedError
from testbed.kubernetes.applications import render_application
from testbed.kubernetes.cluster import Cluster
from testbed.kubernetes.images import find_busybox, list_libraries
from testbed.kubernetes.topology import NODE_1, NODE_2, Node
from testbed.requirements import find_envoy
from tests.house.repository import ROOT

CALLER, CALLED = "shop", "stock"
INBOUND_PORT, OUTBOUND_PORT, APPLICATION_PORT = 8000, 15001, 8080
NAMESPACE = "sidecars"
START_TIMEOUT_S = 60.0

_FOLDER = ROOT / "otel-config" / "envoy"
_CONFIG = "/etc/envoy"
_PATH = "/hostname"
"""A file of the folder that is served: its pod's name."""

_READINESS = {"tcpSocket": {"port": INBOUND_PORT}, "periodSeconds": 1}
_ANYWHERE = "0.0.0.0"  # noqa: S104 - within the pod


@dataclass(frozen=True)
class Sidecars:
    """The pods."""

    cluster: Cluster

    def call(self) -> str:
        """Let the calling pod's application ask the other, through its sidecar; return the answer."""
        command = ["/bin/wget", "-q", "-O", "-", f"http://127.0.0.1:{OUTBOUND_PORT}{_PATH}"]
        pod = ["exec", "-n", NAMESPACE, f"deployment/{CALLER}", "-c", "application", "--"]
        return self.cluster.kubectl.run(*pod, *command)

    def is_answered(self) -> bool:
        """Tell whether a call comes through."""
        try:
            return bool(self.call())
        except TestbedError:
            return False


def start_sidecars(cluster: Cluster, collector: tuple[str, int]) -> Sidecars:
    """Start the pods, whose sidecars send their spans to an OTLP/gRPC receiver; ready on return."""
    envoy = find_envoy()
    cluster.add_image("envoy", ["/envoy"], {"/envoy": envoy, **list_libraries(envoy)})
    commands = dict.fromkeys(("/bin/wget", "/bin/httpd", "/bin/sh"), find_busybox())
    cluster.add_image("busybox", ["/bin/sh"], commands)
    kubectl = cluster.kubectl
    kubectl.run("create", "namespace", NAMESPACE)
    kubectl.apply(_render_config(CALLED, (_ANYWHERE, INBOUND_PORT), ("127.0.0.1", APPLICATION_PORT), collector))
    kubectl.apply(_render_pod(CALLED, NODE_2, INBOUND_PORT, _READINESS))
    address = kubectl.read("service", CALLED, "-n", NAMESPACE)["spec"]["clusterIP"]
    kubectl.apply(_render_config(CALLER, ("127.0.0.1", OUTBOUND_PORT), (address, INBOUND_PORT), collector))
    # Nobody can ask for its readiness from outside of the pod.
    kubectl.apply(_render_pod(CALLER, NODE_1, OUTBOUND_PORT, None))
    for name in (CALLER, CALLED):
        kubectl.run("rollout", "status", "-n", NAMESPACE, f"deployment/{name}")
    sidecars = Sidecars(cluster)
    # kube-proxy learns of a pod that is ready a moment later than the API does.
    wait_until(sidecars.is_answered, "the called pod did not answer", START_TIMEOUT_S)
    return sidecars


def _render_pod(name: str, node: Node, port: int, readiness: Mapping[str, object] | None) -> str:
    application: dict[str, object] = {
        "name": "application",
        "image": "localhost/busybox:1",
        "imagePullPolicy": "Never",
        "command": ["/bin/httpd", "-f", "-p", str(APPLICATION_PORT), "-h", "/etc"],
    }
    sidecar: dict[str, object] = {
        "name": "sidecar",
        "image": "localhost/envoy:1",
        "imagePullPolicy": "Never",
        "args": ["--config-path", "envoy.yaml", "--concurrency", "1"],
        "workingDir": _CONFIG,
        "volumeMounts": [{"name": "config", "mountPath": _CONFIG}],
    }
    if readiness is not None:
        sidecar["readinessProbe"] = readiness
    volumes = [{"name": "config", "configMap": {"name": name}}]
    return render_application(name, NAMESPACE, node, port, [application, sidecar], volumes=volumes)


def _render_config(
    name: str, listener: tuple[str, int], upstream: tuple[str, int], collector: tuple[str, int]
) -> str:
    """Return a ConfigMap with what is shipped, but for three addresses and the service's name."""
    config = yaml.safe_load((_FOLDER / "envoy.yaml").read_text())
    resources = config["static_resources"]
    (outbound,) = resources["listeners"]
    _place(outbound, listener)
    (manager,) = outbound["filter_chains"][0]["filters"]
    manager["typed_config"]["tracing"]["provider"]["typed_config"]["service_name"] = name
    for cluster, place in zip(resources["clusters"], (upstream, collector), strict=True):
        (endpoint,) = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
        _place(endpoint["endpoint"], place)
    files = {"envoy.yaml": json.dumps(config), "context-first.lua": (_FOLDER / "context-first.lua").read_text()}
    metadata = {"name": name, "namespace": NAMESPACE}
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": files})


def _place(holder: Any, place: tuple[str, int]) -> None:
    host, port = place
    holder["address"] = {"socket_address": {"address": host, "port_value": port}}
