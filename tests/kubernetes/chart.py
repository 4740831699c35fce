"""Installs, upgrades and removes the chart by the real Helm, with images that the shipped scripts build.

The only module that runs Helm.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

from testbed.deadline import wait_until
from testbed.errors import TestbedError
from testbed.kubernetes.cluster import Cluster
from testbed.kubernetes.programs import find_helm
from tests.house.repository import ROOT

RELEASE = NAMESPACE = "hopspan"
PLUGIN, PROBE = f"{RELEASE}-plugin", f"{RELEASE}-probe"
PROGRAMS = ("node-probe", "collector-plugin")
COMMAND_TIMEOUT_S = 240.0
BUILD_TIMEOUT_S = 1200.0

_CHART = ROOT / "otel-config" / "helm" / "hopspan"
_BUILD = ROOT / "otel-config" / "images" / "build.sh"


class Chart:
    """The chart's release in a cluster, whose plugin sends to a backend at `host:port`."""

    def __init__(self, cluster: Cluster, backend: str) -> None:
        self.cluster = cluster
        self._backend = backend
        self._settings: tuple[str, ...] | None = None
        """Those of `--set` that it was installed with."""

    def ensure(self, *settings: str) -> None:
        """Install it, or upgrade what is there, with the tests' values and those of `--set`, unless it has them.

        All of its pods are ready on return. Raises TestbedError.
        """
        if settings == self._settings:
            return
        self._settings = None
        values = self.cluster.directory / "values.yaml"
        values.write_text(json.dumps(self._describe()))  # JSON is YAML
        more = [option for setting in settings for option in ("--set", setting)]
        places = ["--namespace", NAMESPACE, "--create-namespace", "--values", str(values)]
        self._run("upgrade", RELEASE, str(_CHART), "--install", "--wait", "--timeout=180s", *places, *more)
        # Helm takes a rolling update for done while maxUnavailable pods are missing.
        for workload in (f"deployment/{PLUGIN}", f"daemonset/{PROBE}"):
            self.cluster.kubectl.run("rollout", "status", "--namespace", NAMESPACE, workload)
        # A plugin that ends still takes what comes over connections that it has.
        wait_until(self._has_no_old_pod, "pods of before stay", COMMAND_TIMEOUT_S)
        self._settings = settings

    def uninstall(self) -> None:
        """Remove it, and return when its pods are gone. Raises TestbedError."""
        self._settings = None
        self._run("uninstall", RELEASE, "--namespace", NAMESPACE, "--wait", "--cascade=foreground")
        self.cluster.kubectl.wait("delete", "pod", "--all", "--namespace", NAMESPACE)

    def find_plugin(self) -> str:
        """Return the address of the plugin's Service."""
        service = self.cluster.kubectl.read("service", PLUGIN, "--namespace", NAMESPACE)
        return str(service["spec"]["clusterIP"])

    def list_pods(self, workload: str = "") -> list[Any]:
        """Return the release's pods, of one component if told so."""
        component = f",app.kubernetes.io/component={workload}" if workload else ""
        selector = f"app.kubernetes.io/instance={RELEASE}{component}"
        found: list[Any] = self.cluster.kubectl.read("pods", "-n", NAMESPACE, "-l", selector)["items"]
        return found

    def describe_probes(self) -> str:
        """Return what each probe has logged and which points it finds, for error messages."""
        points = ("node-probe", "points", "--config", "/etc/hopspan/node-probe.yaml")
        told = []
        for name in (pod["metadata"]["name"] for pod in self.list_pods("node-probe")):
            told.append(self.cluster.kubectl.run("logs", "--namespace", NAMESPACE, name))
            told.append(self.cluster.kubectl.run("exec", "--namespace", NAMESPACE, name, "--", *points))
        return "\n".join(told)

    def _has_no_old_pod(self) -> bool:
        return not any("deletionTimestamp" in pod["metadata"] for pod in self.list_pods())

    def _describe(self) -> dict[str, Any]:
        return {
            "image": {"pullPolicy": "Never"},
            # The tests' verdicts do not depend on speed: no limit of rate and of CPU.
            "probe": {
                "config": {"points": {"rate_limit": 0}, "limits": {"cpu": 0}},
                # Both nodes at once, which takes half the time.
                "updateStrategy": {"rollingUpdate": {"maxUnavailable": "100%"}},
            },
            "plugin": {
                "config": {
                    "receivers": {"otlp": {"protocols": {"http": {}}}},
                    "exporters": {"otlp": {"endpoint": self._backend, "tls": {"insecure": True}}},
                },
            },
        }

    def _run(self, *arguments: str) -> str:
        command = [str(find_helm()), "--kubeconfig", str(self.cluster.kubectl.kubeconfig), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False)
        if done.returncode:
            raise TestbedError(f"helm {arguments[0]}: {done.stderr.strip()}\n{self._describe_pods()}")
        return done.stdout

    def _describe_pods(self) -> str:
        """Return why pods do not run, as far as the cluster tells."""
        return self.cluster.kubectl.run("get", "pods,events", "--namespace", NAMESPACE)


def bring_images(cluster: Cluster) -> None:
    """Build both images and bring them onto the nodes. Raises TestbedError."""
    for program in PROGRAMS:
        archive = cluster.directory / f"hopspan-{program}.tar"
        _build_image(program, archive)
        cluster.import_image(archive)


def _build_image(program: str, archive: Path) -> None:
    command = [str(_BUILD), program, str(archive)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False)
    if done.returncode:
        raise TestbedError(done.stderr.strip())
