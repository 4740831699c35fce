"""Starts the control plane in the root namespace, on the management address alone: etcd, API server, controllers.

The API server authorizes by node and RBAC, and admits no privileged pod.
"""

from pathlib import Path

from testbed.kubernetes.credentials import CONTROLLER_MANAGER, KUBELET_CLIENT, SCHEDULER, Credentials
from testbed.kubernetes.kubectl import Kubectl
from testbed.kubernetes.programs import find_program
from testbed.kubernetes.topology import API_PORT, MACHINE, SERVICE_NETWORK
from testbed.process import ManagedProcess, run_in

START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 2.0
_ETCD = f"http://{MACHINE}:2379"
_ETCD_PEER = f"http://{MACHINE}:2380"


class ControlPlane:
    """The running programs."""

    def __init__(self, directory: Path, credentials: Credentials, kubectl: Kubectl) -> None:
        """Keep data and logs in the directory."""
        self._directory = directory
        self._credentials = credentials
        self._kubectl = kubectl
        self._running: dict[str, ManagedProcess] = {}

    def start(self) -> None:
        """Start all, and return when the API server is ready. Raises TestbedError."""
        data = str(self._directory / "etcd")
        client, peer = f"--listen-client-urls={_ETCD}", f"--listen-peer-urls={_ETCD_PEER}"
        named = [f"--initial-advertise-peer-urls={_ETCD_PEER}", f"--initial-cluster=default={_ETCD_PEER}"]
        # What a crash of the machine would lose is removed at the next start anyway.
        store = [f"--data-dir={data}", "--unsafe-no-fsync"]
        self._launch("etcd", [*store, client, peer, f"--advertise-client-urls={_ETCD}", *named])
        self.start_api_server()
        common = ["--leader-elect=false", "--secure-port=0"]
        self._launch("kube-controller-manager", [*common, *self._list_controller_options()])
        self._launch("kube-scheduler", [*common, f"--kubeconfig={self._credentials.kubeconfig(SCHEDULER)}"])
        self._allow_kubelet_client()

    def start_api_server(self) -> None:
        """Start the API server, and return when it is ready. Raises TestbedError."""
        server = self._launch("kube-apiserver", self._list_api_options())
        server.wait_until(self._kubectl.is_ready, "did not become ready", START_TIMEOUT_S)

    def stop_api_server(self) -> None:
        """Take the API away."""
        self._running.pop("kube-apiserver").stop()

    def stop(self) -> None:
        """Stop all."""
        for process in reversed(self._running.values()):
            process.stop(_STOP_TIMEOUT_S)
        self._running.clear()

    def _launch(self, program: str, options: list[str]) -> ManagedProcess:
        log = self._directory / "logs" / f"{program}.log"
        process = run_in(None, [str(find_program(program)), *options], log_path=log)
        self._running[program] = process
        return process

    def _list_api_options(self) -> list[str]:
        files = self._credentials
        return [
            f"--etcd-servers={_ETCD}",
            f"--bind-address={MACHINE}",
            f"--advertise-address={MACHINE}",
            f"--secure-port={API_PORT}",
            f"--tls-cert-file={files.server.cert_file}",
            f"--tls-private-key-file={files.server.key_file}",
            f"--client-ca-file={files.ca_file}",
            f"--kubelet-client-certificate={files.kubelet_client.cert_file}",
            f"--kubelet-client-key={files.kubelet_client.key_file}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--token-auth-file={files.tokens}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={files.account_public_key}",
            f"--service-account-signing-key-file={files.account_key}",
            f"--service-cluster-ip-range={SERVICE_NETWORK}",
        ]

    def _list_controller_options(self) -> list[str]:
        files = self._credentials
        return [
            f"--kubeconfig={files.kubeconfig(CONTROLLER_MANAGER)}",
            f"--service-account-private-key-file={files.account_key}",
            f"--root-ca-file={files.ca_file}",
            "--use-service-account-credentials",
            "--allocate-node-cidrs=false",
        ]

    def _allow_kubelet_client(self) -> None:
        """Let the API server fetch logs and run commands at the kubelets, for `kubectl logs` and `exec`."""
        role = "--clusterrole=system:kubelet-api-admin"
        self._kubectl.run("create", "clusterrolebinding", "kubelet-client", role, f"--user={KUBELET_CLIENT}")
