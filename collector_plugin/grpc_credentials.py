"""The credentials of a gRPC server from the files of its TLS settings, followed when they are renewed.

Edge, beside the receiver. gRPC serves TLS 1.2 and later alone.
"""

import grpc

from hopspan.errors import HopspanError
from hopspan.tls_server import Renewed, TlsServer, read_tls_server


def open_credentials(tls: TlsServer, key: str) -> grpc.ServerCredentials:
    """Return the credentials. Raises HopspanError that begins with `key`, that of the settings."""
    try:
        files = Renewed(tls, _read_configuration)
    except HopspanError as error:
        raise HopspanError(f"{key}.{error}") from error

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        # Asked when a client connects: certificates live for weeks.
        return files.value if files.renew() else None

    return grpc.dynamic_ssl_server_credentials(
        files.value,
        fetch,  # type: ignore[arg-type]  # None is what gRPC documents for: no change
        require_client_authentication=tls.client_ca_file is not None,
    )


def _read_configuration(tls: TlsServer) -> grpc.ServerCertificateConfiguration:
    files = read_tls_server(tls)
    return grpc.ssl_server_certificate_configuration([(files.key, files.certificate)], files.client_ca)
