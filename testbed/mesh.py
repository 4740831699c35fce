"""Starts the pods' applications and sidecars on a standing network, waits until they are ready, and stops them."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from testbed.interrupt import hold_interrupts
from testbed.mutual_tls import MutualTls
from testbed.namespace import open_socket
from testbed.network import two_nodes_vxlan
from testbed.process import ManagedProcess, run_in, stop_all
from testbed.requirements import find_envoy
from testbed.sidecar import LOOPBACK, render_command, render_config, render_resource_attributes
from testbed.topology import PLUGIN_ENDPOINT, PODS, READY_LINE, SIDECAR_ADMIN_PORT, Pod

READY_TIMEOUT_S = 30.0
"""Three Pythons and three Envoys take some 4 s on two cores; a loaded machine gets time."""

_REQUEST_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Mesh:
    """The running processes, by service name."""

    applications: dict[str, ManagedProcess]
    sidecars: dict[str, ManagedProcess]

    @property
    def processes(self) -> list[ManagedProcess]:
        return [*self.sidecars.values(), *self.applications.values()]

    def wait_for_failure(self) -> None:
        """Wait, without end, until one of the processes ends. Raises TestbedError that names it."""
        while all(process.is_alive() for process in self.processes):
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        for process in self.processes:
            process.check_alive()


@contextmanager
def running_mesh(work_dir: Path, plugin_endpoint: str = PLUGIN_ENDPOINT) -> Iterator[Mesh]:
    """Hold the whole testbed: two nodes, overlay, services, applications and sidecars. Raises TestbedError."""
    with two_nodes_vxlan(), started_mesh(work_dir, plugin_endpoint) as mesh:
        yield mesh


@contextmanager
def started_mesh(
    work_dir: Path,
    plugin_endpoint: str = PLUGIN_ENDPOINT,
    tls: Mapping[str, MutualTls] | None = None,
    **options: bool,
) -> Iterator[Mesh]:
    """Hold applications and sidecars on a network that stands; logs and configurations go to the directory.

    The plugin, at an IPv4 address and port, may come and go: spans that nobody takes are lost, requests are not.
    For the sidecars' options and `tls`, by service, see `render_config`.
    Raises TestbedError that names what was not ready, with the tail of its log.
    """
    mesh = Mesh({}, {})
    try:
        for pod in PODS:
            mesh.applications[pod.service] = start_application(pod, work_dir, plugin_endpoint)
            config = render_config(pod, plugin_endpoint, tls[pod.service] if tls is not None else None, **options)
            mesh.sidecars[pod.service] = start_sidecar(pod, work_dir, config)
        for pod in PODS:
            mesh.applications[pod.service].wait_for_output(READY_LINE, READY_TIMEOUT_S)
            wait_for_sidecar(pod, mesh.sidecars[pod.service])
        yield mesh
    finally:
        with hold_interrupts():
            stop_all(mesh.processes)


def start_application(pod: Pod, work_dir: Path, plugin_endpoint: str = PLUGIN_ENDPOINT) -> ManagedProcess:
    """Start a pod's application. Raises TestbedError."""
    environment = _render_environment(pod) | {
        "OTEL_SERVICE_NAME": pod.service,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{plugin_endpoint}",
    }
    command = [sys.executable, "-m", "testbed.application"]
    log_path = work_dir / f"{pod.service}-application.log"
    return run_in(pod.namespace, command, log_path=log_path, environment=environment)


def start_sidecar(pod: Pod, work_dir: Path, config: str) -> ManagedProcess:
    """Write a sidecar's configuration and start it. Raises TestbedError."""
    work_dir.mkdir(parents=True, exist_ok=True)
    config_path = work_dir / f"{pod.service}-sidecar.yaml"
    config_path.write_text(config)
    log_path = work_dir / f"{pod.service}-sidecar.log"
    command = render_command(find_envoy(), config_path)
    return run_in(pod.namespace, command, log_path=log_path, environment=_render_environment(pod))


def wait_for_sidecar(pod: Pod, sidecar: ManagedProcess) -> None:
    """Wait until the sidecar says that it takes requests. Raises TestbedError."""
    sidecar.wait_until(lambda: _is_ready(pod), "did not become ready", READY_TIMEOUT_S)


def _is_ready(pod: Pod) -> bool:
    """Ask the sidecar's admin port, inside the pod."""
    connection = HTTPConnection(str(LOOPBACK), SIDECAR_ADMIN_PORT)
    connection.sock = open_socket(pod.namespace)
    connection.sock.settimeout(_REQUEST_TIMEOUT_S)
    try:
        connection.sock.connect((str(LOOPBACK), SIDECAR_ADMIN_PORT))
        connection.request("GET", "/ready")
        return connection.getresponse().status == 200  # noqa: PLR2004 - HTTP's own number
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _render_environment(pod: Pod) -> dict[str, str]:
    attributes = render_resource_attributes(pod)
    return {"OTEL_RESOURCE_ATTRIBUTES": ",".join(f"{key}={value}" for key, value in attributes.items())}
