"""A stock Envoy as a container beside an application, with its files from a ConfigMap that is named after the pod."""

import json
from collections.abc import Mapping

from testbed.kubernetes.applications import render_readiness
from testbed.kubernetes.cluster import Cluster
from testbed.kubernetes.images import list_libraries
from testbed.requirements import find_envoy

_FOLDER = "/etc/envoy"
_VOLUME = "config"


def add_envoy_image(cluster: Cluster) -> None:
    """Bring the image onto the nodes. Raises TestbedError."""
    envoy = find_envoy()
    cluster.add_image("envoy", ["/envoy"], {"/envoy": envoy, **list_libraries(envoy)})


def render_files(name: str, namespace: str, files: Mapping[str, str]) -> str:
    """Return the ConfigMap with the sidecar's files, `envoy.yaml` among them, as a manifest."""
    metadata = {"name": name, "namespace": namespace}
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(files)})


def render_sidecar(ready_port: int | None) -> dict[str, object]:
    """Return the container; it is ready once it listens at the port, if one is given."""
    sidecar: dict[str, object] = {
        "name": "sidecar",
        "image": "localhost/envoy:1",
        "imagePullPolicy": "Never",
        "args": ["--config-path", "envoy.yaml", "--concurrency", "1"],
        "workingDir": _FOLDER,
        "volumeMounts": [{"name": _VOLUME, "mountPath": _FOLDER}],
    }
    return sidecar if ready_port is None else sidecar | {"readinessProbe": render_readiness(ready_port)}


def render_volume(name: str) -> dict[str, object]:
    """Return the pod's volume that the container mounts."""
    return {"name": _VOLUME, "configMap": {"name": name}}
