"""Two pods whose sidecars speak mutual TLS to each other: the stock Envoy with the shipped envoy-mtls.yaml."""

from pathlib import Path

import yaml

from testbed.certificates import Authority
from testbed.kubernetes.cluster import Cluster
from tests.kubernetes.sidecars import APPLICATION_PORT, CALLED, CALLER, ENVOY_FOLDER, Place, Sidecars, adapt


class EncryptedSidecars:
    """The pods. The calling one is started, or started anew, once it is told where to call."""

    def __init__(self, cluster: Cluster, directory: Path, collector: Place) -> None:
        """Start the called pod; spans go to an OTLP/gRPC receiver."""
        self.pods = Sidecars(cluster, "encrypted-sidecars", 15006)
        self._authority = Authority(directory / "authority")
        self._collector = collector
        self.pods.create()
        nobody = "127.0.0.1", 1
        self.pods.start_called(self._configure(CALLED, nobody))

    def start_caller(self, upstream: Place) -> None:
        """Let the calling pod's sidecar call there; on return it has an answer."""
        self.pods.start_caller(self._configure(CALLER, upstream))

    def _configure(self, name: str, upstream: Place) -> dict[str, str]:
        """Return the file that is shipped, but for two addresses and the service's name, and the certificates."""
        config = yaml.safe_load((ENVOY_FOLDER / "envoy-mtls.yaml").read_text())
        pair = self._authority.issue(name)
        return {
            "envoy.yaml": adapt(config, name, (upstream, ("127.0.0.1", APPLICATION_PORT), self._collector)),
            "tls.crt": Path(pair.cert_file).read_text(),
            "tls.key": Path(pair.key_file).read_text(),
            "ca.crt": Path(self._authority.ca_file).read_text(),
        }
