"""Runs one node: containerd, kubelet and kube-proxy, in namespaces of its own (network, mounts, processes, names).

All of them end with the node's first process, which ends with the process that started it.
"""

import json
from pathlib import Path
from typing import Any

from testbed.command import run_command
from testbed.kubernetes.credentials import PROXY, Credentials
from testbed.kubernetes.programs import TOOLS_PATH, find_program, find_tool
from testbed.kubernetes.topology import (
    CGROUP,
    CLUSTER_DOMAIN,
    DNS_ADDRESS,
    POD_NETWORK,
    Node,
)
from testbed.process import ManagedProcess, run_in
from testbed.repository import ROOT
from testbed.topology import BRIDGE_DEVICE, OVERLAY_MTU_BYTES

PAUSE_IMAGE = "localhost/pause:1"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 5.0

_INIT = ROOT / "testbed" / "kubernetes" / "node_init.sh"
_SOCKET = "/run/containerd/containerd.sock"
_CONTAINERD = f"""\
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  disable_apparmor = true
  # Without CAP_SYS_RESOURCE no process may be made less likely to be killed.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{{plugins}}"
    conf_dir = "{{networks}}"
"""


class RunningNode:
    """A node whose first process runs."""

    def __init__(self, node: Node, directory: Path) -> None:
        """Start the first process; the node's folders lie in the directory. Raises TestbedError."""
        self.node = node
        self._directory = directory
        self._running: list[ManagedProcess] = []
        directory.mkdir(parents=True)
        spaces = ["unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc"]
        enter = ["nsenter", f"--net=/run/netns/{node.namespace}", *spaces]
        self._first = run_in(None, [*enter, str(_INIT), node.name, str(directory)], log_path=self._log("init"))
        self._first.wait_for_output("^ready$", START_TIMEOUT_S)
        # `unshare` stays outside; its one child is the first process, as the machine sees it.
        self.pid = int(run_command(["pgrep", "--parent", str(self._first.pid)]))

    def start_containerd(self) -> None:
        """Start containerd, with CNI's plugins; it serves on return. Raises TestbedError."""
        networks = self._directory / "networks"
        networks.mkdir()
        (networks / "10-pods.conflist").write_text(json.dumps(_describe_network(self.node)))
        config = self._directory / "containerd.toml"
        plugins = find_program("bridge").parent
        config.write_text(_CONTAINERD.format(plugins=plugins, networks=networks))
        process = self._launch("containerd", [str(find_tool("containerd")), "--config", str(config)])
        process.wait_for_output("containerd successfully booted", START_TIMEOUT_S)

    def import_image(self, archive: Path) -> None:
        """Import an image that `images.write_image` or `build.sh` wrote. Raises TestbedError."""
        run_command([*self._enter(), str(find_tool("ctr")), "-n", "k8s.io", "images", "import", str(archive)])

    def start_kubernetes(self, credentials: Credentials) -> None:
        """Start kubelet and kube-proxy; they come up by and by."""
        kubelet = self._write("kubelet", _describe_kubelet(credentials, self._write_resolver()))
        access = f"--kubeconfig={credentials.kubeconfig(f'system:node:{self.node.name}')}"
        address = f"--node-ip={self.node.underlay_address}"
        self._launch("kubelet", [str(find_program("kubelet")), f"--config={kubelet}", access, address])
        proxy = self._write("proxy", _describe_proxy(self.node, credentials))
        self._launch("kube-proxy", [str(find_program("kube-proxy")), f"--config={proxy}"])

    def run(self, *command: str) -> str:
        """Run a command on the node and return its output. Raises TestbedError."""
        return run_command([*self._enter(), *command])

    def list_processes(self, pattern: str) -> list[str]:
        """Return the node's processes, its containers' too, whose command matches the pattern."""
        found = run_command([*self._enter(), "pgrep", "--list-full", "-f", pattern], check=False)
        return found.splitlines()

    def stop(self) -> None:
        """End all that runs on the node."""
        self._first.stop(0)
        for process in self._running:
            process.stop(STOP_TIMEOUT_S)

    def _enter(self) -> list[str]:
        return ["nsenter", "--target", str(self.pid), "--mount", "--pid", "--uts", "--ipc", "--net"]

    def _launch(self, name: str, command: list[str]) -> ManagedProcess:
        command = [*self._enter(), *command]
        process = run_in(None, command, log_path=self._log(name), environment={"PATH": TOOLS_PATH})
        self._running.append(process)
        return process

    def _log(self, name: str) -> Path:
        return self._directory.parent / "logs" / f"{self.node.name}-{name}.log"

    def _write(self, name: str, description: dict[str, Any]) -> Path:
        path = self._directory / f"{name}.yaml"
        path.write_text(json.dumps(description))  # JSON is YAML
        return path

    def _write_resolver(self) -> Path:
        """Write the name servers of pods that do not ask the cluster's: none."""
        path = self._directory / "resolv.conf"
        path.write_text("")
        return path


def _describe_network(node: Node) -> dict[str, Any]:
    """Return the pods' network as flannel describes it to the CNI plugins."""
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": str(node.pod_network)}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE_DEVICE,
        "isGateway": True,
        "hairpinMode": True,
        "ipMasq": False,
        "mtu": OVERLAY_MTU_BYTES,
        "ipam": addresses,
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": "cbr0", "plugins": [bridge, portmap]}


def _describe_kubelet(credentials: Credentials, resolver: Path) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(credentials.ca_file)},
        },
        "authorization": {"mode": "Webhook"},
        "clusterDNS": [str(DNS_ADDRESS)],
        "clusterDomain": CLUSTER_DOMAIN,
        "containerRuntimeEndpoint": f"unix://{_SOCKET}",
        "resolvConf": str(resolver),
        # Containers have their limits; pods have no cgroup of their own, which would need all controllers.
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": False,
        "cgroupRoot": f"/{CGROUP}",
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        # The container's exit is seen within a second at the latest.
        "syncFrequency": "10s",
    }


def _describe_proxy(node: Node, credentials: Credentials) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(credentials.kubeconfig(PROXY))},
        "hostnameOverride": node.name,
        "mode": "iptables",
        "clusterCIDR": str(POD_NETWORK),
        # They can be set in the root namespace alone.
        "conntrack": {"maxPerCore": 0, "min": 0},
    }
