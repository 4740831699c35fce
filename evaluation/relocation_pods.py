"""Runs HotROD with a sidecar in each pod, once: the sidecars hold all variants, and the port asked tells which.

Edge: speaks to the cluster. The frontend is on node-1, all that it calls on node-2; spans go to a Collector in the
machine's own namespace, which drops them.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.relocation_sidecars import INBOUND_PORTS, Place, Sidecar, Upstream, render_files
from testbed.command import run_command
from testbed.deadline import wait_until
from testbed.errors import TestbedError
from testbed.kubernetes import envoy_sidecar
from testbed.kubernetes.applications import render_application, render_readiness
from testbed.kubernetes.cluster import Cluster
from testbed.kubernetes.envoy_sidecar import add_envoy_image, render_sidecar, render_volume
from testbed.kubernetes.programs import find_hotrod, find_program
from testbed.kubernetes.topology import MACHINE, NODE_1, NODE_2, Node
from testbed.peers import find_collector
from testbed.peers import find_hotrod as find_hotrod_or_none
from testbed.process import run_in

FRONTEND, CUSTOMER, DRIVER, ROUTE = "frontend", "customer", "driver", "route"
APPLICATION_PORTS = {FRONTEND: 8080, CUSTOMER: 8081, DRIVER: 8082, ROUTE: 8083}
UNTRACED_PORT = 8090
"""Of the frontend's second process, whose calls meet no tracing."""

OUTBOUND_PORTS = {CUSTOMER: 15001, DRIVER: 15002, ROUTE: 15003}
COLLECTOR_GRPC = (str(MACHINE), 4317)
COLLECTOR_HTTP = (str(MACHINE), 4318)
START_TIMEOUT_S = 120.0
NAMESPACE = "relocation"
"""Of Kubernetes."""

QUICK_DATABASE = ("--fix-db-query-delay=-1s", "--fix-disable-db-conn-mutex")
"""HotROD's own switches against its built-in bottlenecks: below zero a wait is none, however its chance falls."""

MANY_WORKERS = "--fix-route-worker-pool-size=1000"
"""Else three calls of `route` at a time, 50 ms each, would be the saturation that is found."""

_ENVIRONMENT = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{COLLECTOR_HTTP[0]}:{COLLECTOR_HTTP[1]}",
    # What no sidecar began a trace for is not traced by the application, either.
    "OTEL_TRACES_SAMPLER": "parentbased_always_off",
}


@dataclass(frozen=True)
class Mesh:
    """HotROD that runs."""

    places: Mapping[str, Place]
    """By variant: where the frontend's sidecar takes its requests."""
    sidecar_pid: int
    """Of that sidecar, which calls all the others."""


def missing_programs() -> list[str]:
    """Return what is missing beside Kubernetes, a line each."""
    built = {"HotROD": find_hotrod_or_none(), "the OpenTelemetry Collector": find_collector()}
    missing = [f"{name} is not built (make kubernetes)" for name, path in built.items() if path is None]
    return missing if shutil.which("ss") else [*missing, "ss: no such command (package iproute2)"]


def find_versions() -> dict[str, str]:
    """Return the versions of what runs here; the folders in which built programs are kept are named after them."""
    programs = (find_program("kubelet"), find_hotrod(), find_collector())
    return dict(path.parent.name.rsplit("-", 1) for path in programs if path is not None)


@contextmanager
def running_collector(directory: Path) -> Iterator[None]:
    """Hold a Collector that takes spans by gRPC and HTTP and drops them. Raises TestbedError."""
    program = find_collector()
    if program is None:
        raise TestbedError("the OpenTelemetry Collector is not built (make kubernetes)")
    places = {"grpc": COLLECTOR_GRPC, "http": COLLECTOR_HTTP}
    protocols = {name: {"endpoint": f"{host}:{port}"} for name, (host, port) in places.items()}
    config = {
        "receivers": {"otlp": {"protocols": protocols}},
        "exporters": {"debug": {"verbosity": "basic"}},
        "service": {
            "telemetry": {"logs": {"level": "warn"}, "metrics": {"level": "none"}},
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["debug"]}},
        },
    }
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "collector.yaml"
    path.write_text(json.dumps(config))
    log = directory / "collector.log"
    with run_in(None, [str(program), "--config", str(path)], log_path=log) as collector:
        listening = f"{MACHINE}:{COLLECTOR_HTTP[1]}"
        collector.wait_until(lambda: listening in run_command(["ss", "-ltn"]), "does not listen", START_TIMEOUT_S)
        yield


def start_mesh(cluster: Cluster) -> Mesh:
    """Start all pods; return where each variant takes requests. Raises TestbedError."""
    add_envoy_image(cluster)
    cluster.add_image("hotrod", ["/hotrod"], {"/hotrod": find_hotrod()})
    _apply(cluster)
    for service in APPLICATION_PORTS:
        cluster.kubectl.run("rollout", "status", "-n", NAMESPACE, f"deployment/{service}")
    return _find_mesh(cluster)


def _apply(cluster: Cluster) -> None:
    kubectl = cluster.kubectl
    kubectl.run("create", "namespace", NAMESPACE)
    upstreams = []
    for service, port in OUTBOUND_PORTS.items():
        is_grpc = service == DRIVER
        kubectl.apply(*_render_pod(Sidecar(service, APPLICATION_PORTS[service], is_grpc=is_grpc), NODE_2))
        address = kubectl.read("service", service, "-n", NAMESPACE)["spec"]["clusterIP"]
        upstreams.append(Upstream(service, port, address, is_grpc))
    frontend = Sidecar(FRONTEND, APPLICATION_PORTS[FRONTEND], tuple(upstreams), (CUSTOMER,), UNTRACED_PORT)
    kubectl.apply(*_render_pod(frontend, NODE_1))


def _find_mesh(cluster: Cluster) -> Mesh:
    """Return the frontend's pod, once it is the only one. Raises TestbedError."""
    found: list[Any] = []

    def is_alone() -> bool:
        found[:] = cluster.kubectl.read("pods", "-n", NAMESPACE, "-l", f"app={FRONTEND}")["items"]
        return len(found) == 1 and "podIP" in found[0]["status"]

    wait_until(is_alone, "no frontend", START_TIMEOUT_S)
    (status,) = (pod["status"] for pod in found)
    (sidecar,) = (each for each in status["containerStatuses"] if each["name"] == "sidecar")
    places = {variant: (status["podIP"], port) for variant, port in INBOUND_PORTS.items()}
    return Mesh(places, _find_process(sidecar["containerID"].rpartition("/")[2]))


def _find_process(container: str) -> int:
    """Return the first process of a container, whose cgroup is named after it. Raises TestbedError."""
    for path in Path("/proc").glob("[0-9]*/cgroup"):
        with suppress(OSError):  # gone meanwhile
            if container in path.read_text():
                return int(path.parent.name)
    raise TestbedError(f"no process of container {container}")


def _render_pod(sidecar: Sidecar, node: Node) -> tuple[str, str]:
    """Return the manifests of the pod and its sidecar's files."""
    name = sidecar.service
    port, *more_ports = INBOUND_PORTS.values()
    applications = [_render_application(sidecar, "application", sidecar.application_port, is_traced=True)]
    if sidecar.untraced_port is not None:
        applications.append(_render_application(sidecar, "untraced", sidecar.untraced_port, is_traced=False))
    containers = [*applications, render_sidecar(port)]
    pod = render_application(
        name, NAMESPACE, node, port, containers, volumes=[render_volume(name)], more_ports=more_ports
    )
    return envoy_sidecar.render_files(name, NAMESPACE, render_files(sidecar, COLLECTOR_GRPC)), pod


def _render_application(sidecar: Sidecar, name: str, port: int, *, is_traced: bool) -> Mapping[str, object]:
    places = [
        option
        for upstream in sidecar.upstreams
        for option in (
            f"--{upstream.name}-service-hostname=127.0.0.1",
            f"--{upstream.name}-service-port={upstream.find_port(is_traced=is_traced)}",
        )
    ]
    own_port = f"--{sidecar.service}-service-port={port}"
    return {
        "name": name,
        "image": "localhost/hotrod:1",
        "imagePullPolicy": "Never",
        "args": [sidecar.service, *QUICK_DATABASE, MANY_WORKERS, own_port, *places],
        "env": [{"name": key, "value": value} for key, value in _ENVIRONMENT.items()],
        "readinessProbe": render_readiness(port),
    }
