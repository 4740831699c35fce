"""Writes who may do what: the authority's certificates, a token for each program, and the kubeconfig that holds it.

Each program has the user and group that Kubernetes' own roles are bound to (RBAC and the node authorizer).
"""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from testbed.certificates import Authority, Pair
from testbed.command import run_command
from testbed.kubernetes.topology import API_SERVER, CLUSTER_DOMAIN, MACHINE, NODES, SERVICE_NETWORK

ADMIN = "admin"
CONTROLLER_MANAGER = "system:kube-controller-manager"
SCHEDULER = "system:kube-scheduler"
PROXY = "system:kube-proxy"
KUBELET_CLIENT = "kube-apiserver"
"""The name in the certificate that the API server shows to kubelets."""

_GROUPS = {ADMIN: "system:masters", CONTROLLER_MANAGER: "", SCHEDULER: "", PROXY: ""} | {
    f"system:node:{node.name}": "system:nodes" for node in NODES
}


@dataclass(frozen=True)
class Credentials:
    """The files."""

    directory: Path
    ca_file: Path
    server: Pair
    kubelet_client: Pair
    tokens: Path
    account_key: Path
    account_public_key: Path

    def kubeconfig(self, user: str) -> Path:
        """Return the file by which a user comes to the API server."""
        return self.directory / f"{user.replace(':', '-')}.kubeconfig"


def make_credentials(directory: Path) -> Credentials:
    """Write everything into the directory, which is made."""
    directory.mkdir()
    authority = Authority(directory / "authority")
    names = f"kubernetes.default.svc,DNS:kubernetes.default.svc.{CLUSTER_DOMAIN},IP:{MACHINE},IP:{SERVICE_NETWORK[1]}"
    key, public = directory / "accounts.key", directory / "accounts.pub"
    run_command(["openssl", "genrsa", "-out", str(key), "2048"])
    run_command(["openssl", "rsa", "-in", str(key), "-pubout", "-out", str(public)])
    credentials = Credentials(
        directory,
        Path(authority.ca_file),
        authority.issue("server", host=names),
        authority.issue(KUBELET_CLIENT),
        directory / "tokens.csv",
        key,
        public,
    )
    tokens = {user: secrets.token_hex(16) for user in _GROUPS}
    lines = [f'{tokens[user]},{user},{user},"{group}"\n' for user, group in _GROUPS.items()]
    credentials.tokens.write_text("".join(lines))
    for user, token in tokens.items():
        credentials.kubeconfig(user).write_text(_render_kubeconfig(credentials.ca_file, user, token))
    return credentials


def _render_kubeconfig(ca_file: Path, user: str, token: str) -> str:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "hopspan", "cluster": {"server": API_SERVER, "certificate-authority": str(ca_file)}}
            ],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": "hopspan", "context": {"cluster": "hopspan", "user": user}}],
            "current-context": "hopspan",
        }
    )
