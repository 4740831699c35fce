"""Two pods with sidecars, one a node: the stock Envoy with a shipped configuration, and an uninstrumented server.

A request that starts in the pod of `shop` goes by its sidecar to `stock`, whose sidecar hands it on.
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
from testbed.kubernetes.envoy_sidecar import add_envoy_image, render_files, render_sidecar, render_volume
from testbed.kubernetes.images import find_busybox
from testbed.kubernetes.topology import NODE_1, NODE_2, Node
from tests.house.repository import ROOT

CALLER, CALLED = "shop", "stock"
OUTBOUND_PORT, APPLICATION_PORT = 15001, 8080
START_TIMEOUT_S = 60.0

ENVOY_FOLDER = ROOT / "otel-config" / "envoy"
_PATH = "/hostname"
"""A file of the folder that is served: its pod's name."""

Place = tuple[str, int]
"""Address and port."""


@dataclass(frozen=True)
class Sidecars:
    """The pods, in a namespace of their own; the called one's sidecar listens at the port."""

    cluster: Cluster
    namespace: str
    inbound_port: int

    def create(self) -> None:
        """Bring the images, and make the namespace."""
        add_envoy_image(self.cluster)
        commands = dict.fromkeys(("/bin/wget", "/bin/httpd", "/bin/sh"), find_busybox())
        self.cluster.add_image("busybox", ["/bin/sh"], commands)
        self.cluster.kubectl.run("create", "namespace", self.namespace)

    def start_called(self, files: Mapping[str, str]) -> None:
        """Start the pod that is called, whose sidecar has the files; ready on return."""
        self.cluster.kubectl.apply(render_files(CALLED, self.namespace, files))
        self.cluster.kubectl.apply(self._render_pod(CALLED, NODE_2, self.inbound_port, self.inbound_port))
        self._wait_for(CALLED)

    def start_caller(self, files: Mapping[str, str]) -> None:
        """Start the pod that calls, or start it anew; on return it has an answer."""
        kubectl = self.cluster.kubectl
        kubectl.apply(render_files(CALLER, self.namespace, files))
        # Nobody can ask for its readiness from outside of the pod.
        kubectl.apply(self._render_pod(CALLER, NODE_1, OUTBOUND_PORT, None))
        kubectl.run("rollout", "restart", "-n", self.namespace, f"deployment/{CALLER}")
        self._wait_for(CALLER)
        # kube-proxy learns of a pod that is ready a moment later than the API does.
        wait_until(self._is_answered, "the called pod did not answer", START_TIMEOUT_S)

    def find_service(self) -> Place:
        """Return where the called pod's Service is."""
        service = self.cluster.kubectl.read("service", CALLED, "-n", self.namespace)
        return str(service["spec"]["clusterIP"]), self.inbound_port

    def find_pod(self) -> Place:
        """Return where the called pod itself is."""
        (pod,) = self.cluster.kubectl.read("pods", "-n", self.namespace, "-l", f"app={CALLED}")["items"]
        return str(pod["status"]["podIP"]), self.inbound_port

    def call(self) -> str:
        """Let the calling pod's application ask the other, through its sidecar; return the answer."""
        command = ["/bin/wget", "-q", "-O", "-", f"http://127.0.0.1:{OUTBOUND_PORT}{_PATH}"]
        pod = ["exec", "-n", self.namespace, f"deployment/{CALLER}", "-c", "application", "--"]
        return self.cluster.kubectl.run(*pod, *command)

    def _is_answered(self) -> bool:
        try:
            return bool(self.call())
        except TestbedError:
            return False

    def _wait_for(self, name: str) -> None:
        self.cluster.kubectl.run("rollout", "status", "-n", self.namespace, f"deployment/{name}")

    def _render_pod(self, name: str, node: Node, port: int, ready_port: int | None) -> str:
        application: dict[str, object] = {
            "name": "application",
            "image": "localhost/busybox:1",
            "imagePullPolicy": "Never",
            "command": ["/bin/httpd", "-f", "-p", str(APPLICATION_PORT), "-h", "/etc"],
        }
        containers = [application, render_sidecar(ready_port)]
        return render_application(name, self.namespace, node, port, containers, volumes=[render_volume(name)])


def start_sidecars(cluster: Cluster, collector: Place) -> Sidecars:
    """Start pods that speak plain text, whose spans go to an OTLP/gRPC receiver; ready on return."""
    sidecars = Sidecars(cluster, "sidecars", 8000)
    sidecars.create()
    inbound = "0.0.0.0", sidecars.inbound_port  # noqa: S104 - within the pod
    sidecars.start_called(_configure(CALLED, inbound, ("127.0.0.1", APPLICATION_PORT), collector))
    outbound = "127.0.0.1", OUTBOUND_PORT
    sidecars.start_caller(_configure(CALLER, outbound, sidecars.find_service(), collector))
    return sidecars


def _configure(name: str, listener: Place, upstream: Place, collector: Place) -> dict[str, str]:
    """Return the files that are shipped, but for three addresses and the service's name."""
    config = yaml.safe_load((ENVOY_FOLDER / "envoy.yaml").read_text())
    (outbound,) = config["static_resources"]["listeners"]
    outbound["address"] = _write_place(listener)
    script = (ENVOY_FOLDER / "context-first.lua").read_text()
    return {"envoy.yaml": adapt(config, name, (upstream, collector)), "context-first.lua": script}


def adapt(config: Any, name: str, upstreams: tuple[Place, ...]) -> str:
    """Return an Envoy's configuration for a service of that name, its clusters being at these places."""
    resources = config["static_resources"]
    for listener in resources["listeners"]:
        (manager,) = listener["filter_chains"][0]["filters"]
        manager["typed_config"]["tracing"]["provider"]["typed_config"]["service_name"] = name
    for cluster, place in zip(resources["clusters"], upstreams, strict=True):
        (endpoint,) = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
        endpoint["endpoint"]["address"] = _write_place(place)
    return json.dumps(config)


def _write_place(place: Place) -> dict[str, Any]:
    host, port = place
    return {"socket_address": {"address": host, "port_value": port}}
