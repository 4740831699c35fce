"""How names are asked for from Kubernetes, as a frozen Struct; `auth_type` is named like the Collector's.

Pure. The strings under the fields are their documentation: meaning, unit, default and why.
"""

import enum
from collections.abc import Iterator

import msgspec

from hopspan.http_url import Url
from hopspan.settings import TlsClient

ACCOUNT_DIRECTORY = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where a pod finds its service account's token, and the authority of the API server's certificate."""


class AuthType(enum.StrEnum):
    """How the plugin shows the API server who it is; values as in the Collector's k8sattributes processor."""

    SERVICE_ACCOUNT = "serviceAccount"
    NONE = "none"


class KubernetesSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The API server, and what it is asked with."""

    enabled: bool = False
    """Put the names of pods, namespaces, services and nodes on network spans. Default false: nothing is asked for."""
    auth_type: AuthType = AuthType.SERVICE_ACCOUNT
    """`serviceAccount`: with the token of a service account. `none`: without one, for a proxy such as `kubectl
    proxy`, or with the certificate of `tls`. Default serviceAccount."""
    api_server: Url | None = None
    """URL of the API server, such as `https://10.0.0.1:6443`. Default: where KUBERNETES_SERVICE_HOST and
    KUBERNETES_SERVICE_PORT lead, which every pod has."""
    bearer_token_file: str = f"{ACCOUNT_DIRECTORY}/token"
    """File with the token; it is read again when it changes, as Kubernetes renews it. Default: the pod's own."""
    tls: TlsClient = TlsClient()
    """TLS towards the API server. Without ca_file: the authority that the pod has beside its token, if it has one."""

    def validate(self) -> Iterator[str]:
        """Yield faults: a scheme that says one thing while `tls` says another."""
        if self.api_server is None:
            if self.tls.insecure:
                yield "tls.insecure: contradicts the https of a cluster's own API server (give api_server)"
            return
        if self.api_server.is_secure and self.tls.insecure:
            yield "tls.insecure: contradicts the https of api_server"
        if not self.api_server.is_secure:
            for name in ("ca_file", "cert_file", "key_file"):
                if getattr(self.tls, name) is not None:
                    yield f"tls.{name}: has no effect while api_server begins with http:"
