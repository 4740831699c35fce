"""A real Kubernetes with two nodes on one machine: starts it, and removes it or what a killed run left of it.

Nothing stays: processes, mounts and network namespaces end with the nodes' first processes, links, cgroups and files
are removed.
"""

import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from testbed.deadline import wait_until
from testbed.interrupt import hold_interrupts
from testbed.kubernetes.control_plane import ControlPlane
from testbed.kubernetes.credentials import ADMIN, make_credentials
from testbed.kubernetes.images import find_busybox, write_image
from testbed.kubernetes.kubectl import Kubectl
from testbed.kubernetes.manifests import render_manifest
from testbed.kubernetes.network import build_network, remove_network
from testbed.kubernetes.node import RunningNode
from testbed.kubernetes.programs import find_coredns
from testbed.kubernetes.topology import CGROUP, NODES, Node
from testbed.lock import take_lock

DIRECTORY = Path(tempfile.gettempdir()) / "hopspan-kubernetes"
"""Fixed, so that the next start finds what a killed one left."""

_CGROUPS = Path("/sys/fs/cgroup")
_REMOVE_TIMEOUT_S = 30.0
_WHAT = "two-node Kubernetes"


class Cluster:
    """The running cluster."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        credentials = make_credentials(directory / "credentials")
        self.kubectl = Kubectl(credentials.kubeconfig(ADMIN))
        self.control_plane = ControlPlane(directory, credentials, self.kubectl)
        self.nodes: dict[Node, RunningNode] = {}
        self._credentials = credentials

    def start(self) -> None:
        """Start all of it; both nodes are ready on return, and names are resolved. Raises TestbedError."""
        for node in NODES:
            self.nodes[node] = RunningNode(node, self.directory / node.name)
            self.nodes[node].start_containerd()
        with ThreadPoolExecutor() as threads:
            imported = threads.submit(self._import_own_images)
            self.control_plane.start()
            imported.result()
        for running in self.nodes.values():
            running.start_kubernetes(self._credentials)
        self.kubectl.apply(render_manifest("coredns.yaml"))
        wait_until(self._has_nodes, "the nodes did not register", _REMOVE_TIMEOUT_S)
        self.kubectl.wait("condition=Ready", "node", "--all")
        self.kubectl.wait("condition=Available", "-n", "kube-system", "deployment/coredns")

    def add_image(self, name: str, entry: list[str], files: dict[str, Path]) -> None:
        """Make an image `localhost/name:1` of files of this machine, on both nodes. Raises TestbedError."""
        path = self.directory / f"{name}.tar"
        write_image(path, name, entry, files)
        self.import_image(path)

    def import_image(self, archive: Path) -> None:
        """Bring an image onto both nodes. Raises TestbedError."""
        with ThreadPoolExecutor() as threads:
            list(threads.map(lambda running: running.import_image(archive), self.nodes.values()))

    def stop(self) -> None:
        """Stop all programs."""
        self.control_plane.stop()
        for running in self.nodes.values():
            running.stop()

    def _import_own_images(self) -> None:
        busybox = find_busybox()
        self.add_image("pause", ["/bin/busybox", "sleep", "999999999"], {"/bin/busybox": busybox})
        self.add_image("coredns", ["/coredns"], {"/coredns": find_coredns()})

    def _has_nodes(self) -> bool:
        return len(self.kubectl.read("nodes")["items"]) == len(NODES)


@contextmanager
def two_node_kubernetes(directory: Path = DIRECTORY) -> Iterator[Cluster]:
    """Hold a cluster, whose files lie in the directory. Raises TestbedError."""
    with take_lock(_WHAT):
        _remove(directory)
        try:
            directory.mkdir(parents=True)
            build_network()
            with ExitStack() as stack:
                cluster = Cluster(directory)
                stack.callback(cluster.stop)
                cluster.start()
                yield cluster
        finally:
            with hold_interrupts():
                _remove(directory)


def remove_cluster(directory: Path = DIRECTORY) -> None:
    """Remove what a killed run left. Raises TestbedError."""
    with take_lock(_WHAT):
        _remove(directory)


def list_cgroups() -> list[Path]:
    """Return the containers' cgroups, the innermost first."""
    tops = [*_CGROUPS.glob(CGROUP), *_CGROUPS.glob(f"*/{CGROUP}")]
    return sorted((path for top in tops for path in (top, *top.rglob("*/"))), reverse=True)


def _remove(directory: Path) -> None:
    remove_network()

    def are_cgroups_gone() -> bool:
        for path in list_cgroups():
            # A process that was killed just now is in it yet.
            _try_rmdir(path)
        return not list_cgroups()

    wait_until(are_cgroups_gone, "could not remove the containers' cgroups", _REMOVE_TIMEOUT_S)
    shutil.rmtree(directory, ignore_errors=True)


def _try_rmdir(path: Path) -> None:
    try:
        path.rmdir()
    except OSError:
        return
