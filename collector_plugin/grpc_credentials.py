"""The credentials of a gRPC server from the files of its TLS settings, followed when they are renewed.

Edge, beside the receiver. gRPC serves TLS 1.2 and later alone.
"""

import grpc

from hopspan.errors import HopspanError
from hopspan.tls_server import TlsServer, read_server_stamp, read_tls_server


def open_credentials(tls: TlsServer, key: str) -> grpc.ServerCredentials:
    """Return the credentials. Raises HopspanError that begins with `key`, that of the settings."""
    try:
        first = _read_configuration(tls)
    except HopspanError as error:
        raise HopspanError(f"{key}.{error}") from error
    renewal = _Renewal(tls)
    return grpc.dynamic_ssl_server_credentials(
        first,
        renewal.fetch,  # type: ignore[arg-type]  # None is what gRPC documents for: no change
        require_client_authentication=tls.client_ca_file is not None,
    )


class _Renewal:
    """Looks at the files when a client connects: certificates live for weeks."""

    def __init__(self, tls: TlsServer) -> None:
        self._tls = tls
        self._stamp = read_server_stamp(tls)

    def fetch(self) -> grpc.ServerCertificateConfiguration | None:
        """Return new credentials where the files changed and are whole, else None: the old ones stay."""
        stamp = read_server_stamp(self._tls)
        if stamp == self._stamp:
            return None
        try:
            renewed = _read_configuration(self._tls)
        except HopspanError:
            return None
        self._stamp = stamp
        return renewed


def _read_configuration(tls: TlsServer) -> grpc.ServerCertificateConfiguration:
    files = read_tls_server(tls)
    return grpc.ssl_server_certificate_configuration([(files.key, files.certificate)], files.client_ca)
