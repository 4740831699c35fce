"""Runs HotROD, Jaeger's demo application, as pods: its frontend on node-1, all that it calls on node-2.

It calls each service by name: the cluster's DNS gives the ClusterIP, which kube-proxy's rules translate.
"""

from dataclasses import dataclass

from testbed.deadline import wait_until
from testbed.kubernetes.applications import Application
from testbed.kubernetes.cluster import Cluster
from testbed.kubernetes.programs import find_hotrod
from testbed.kubernetes.topology import NODE_1, NODE_2
from tests.peers.hotrod import request_ride

IMAGE = "localhost/hotrod:1"
START_TIMEOUT_S = 60.0
_PORTS = {"customer": 8081, "driver": 8082, "route": 8083}
_FRONTEND_PORT = 8080


@dataclass(frozen=True)
class HotRod:
    """The application in its namespace."""

    cluster: Cluster
    namespace: str = "hotrod"

    def find_frontend(self) -> str:
        """Return the address of the frontend's pod."""
        (pod,) = self.cluster.kubectl.read("pods", "-n", self.namespace, "-l", "app=frontend")["items"]
        return str(pod["status"]["podIP"])

    def ride(self, count: int, frontend: str = "") -> None:
        """Ask for drivers, one after the other, as the page does; `frontend`: its pod's address, if known."""
        address = frontend or self.find_frontend()
        for _ in range(count):
            assert request_ride(address)["Driver"]

    def restart(self) -> None:
        """Replace all pods, as after a change; the new ones are ready on return. Raises TestbedError."""
        self.cluster.kubectl.run("rollout", "restart", "deployment", "-n", self.namespace)
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Wait until all of its pods are there, ready, and alone, and calls come through. Raises TestbedError."""
        for service in ("frontend", *_PORTS):
            self.cluster.kubectl.run("rollout", "status", "-n", self.namespace, f"deployment/{service}")
        wait_until(self._has_one_pod_each, "pods of HotROD stay", START_TIMEOUT_S)
        # kube-proxy learns of a pod that is ready a moment later than the API does.
        wait_until(self._gives_driver, "HotROD gave no driver", START_TIMEOUT_S)

    def _has_one_pod_each(self) -> bool:
        return len(self.cluster.kubectl.read("pods", "-n", self.namespace)["items"]) == 1 + len(_PORTS)

    def _gives_driver(self) -> bool:
        try:
            return bool(request_ride(self.find_frontend())["Driver"])
        except OSError:
            return False


def start_hotrod(cluster: Cluster, collector: str) -> HotRod:
    """Start all services, which send their spans to an OTLP/HTTP receiver at `host:port`; ready on return."""
    cluster.add_image("hotrod", ["/hotrod"], {"/hotrod": find_hotrod()})
    hotrod = HotRod(cluster)
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector}", "OTEL_BSP_SCHEDULE_DELAY": "200"}
    called = [Application(name, IMAGE, NODE_2, port, (name,), environment) for name, port in _PORTS.items()]
    places = tuple(f"--{service}-service-hostname={service}" for service in _PORTS)
    frontend = Application("frontend", IMAGE, NODE_1, _FRONTEND_PORT, ("frontend", *places), environment)
    cluster.kubectl.run("create", "namespace", hotrod.namespace)
    cluster.kubectl.apply(*(application.render(hotrod.namespace) for application in (*called, frontend)))
    hotrod.wait_until_ready()
    return hotrod
