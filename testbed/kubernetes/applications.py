"""Manifests of applications: a Deployment of one pod on one node, and a Service before it. Values only: no IO."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from testbed.kubernetes.topology import Node


@dataclass(frozen=True)
class Application:
    """One pod of an image, on a node, that serves a port."""

    name: str
    image: str
    node: Node
    port: int
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    def render(self, namespace: str) -> str:
        """Return its Deployment and Service as a manifest."""
        container: dict[str, object] = {
            "name": self.name,
            "image": self.image,
            "imagePullPolicy": "Never",
            "args": list(self.arguments),
            "env": [{"name": name, "value": value} for name, value in self.environment.items()],
            "ports": [{"containerPort": self.port}],
            "readinessProbe": render_readiness(self.port),
        }
        return render_application(self.name, namespace, self.node, self.port, [container])


def render_readiness(port: int) -> dict[str, object]:
    """Return a container's probe: ready once something listens at the port."""
    return {"tcpSocket": {"port": port}, "periodSeconds": 1}


def render_application(  # noqa: PLR0913 - all that tells one pod from another
    name: str,
    namespace: str,
    node: Node,
    port: int,
    containers: Sequence[Mapping[str, object]],
    *,
    volumes: Sequence[Mapping[str, object]] = (),
    more_ports: Sequence[int] = (),
) -> str:
    """Return a Deployment of one pod with the containers, and the Service `name:port` before it, as a manifest.

    The Service may have more ports.
    """
    labels = {"app": name}
    place = {"name": name, "namespace": namespace, "labels": labels}
    pod = {
        "nodeSelector": {"kubernetes.io/hostname": node.name},
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        # What is deleted in a test shall be gone soon; no application here says farewell.
        "terminationGracePeriodSeconds": 1,
        "containers": list(containers),
        "volumes": list(volumes),
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": place,
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": place,
        "spec": {
            "selector": labels,
            "ports": [{"name": f"port-{each}", "port": each, "targetPort": each} for each in (port, *more_ports)],
        },
    }
    return f"{json.dumps(deployment)}\n---\n{json.dumps(service)}"
