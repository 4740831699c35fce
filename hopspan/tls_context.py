"""Makes the TLS context of HTTP connections from the configuration's files. Edge: reads files."""

import ssl

from hopspan.errors import HopspanError
from hopspan.settings import TlsClient
from hopspan.tls_files import check_tls_files


def open_client_context(tls: TlsClient) -> ssl.SSLContext:
    """Return a context that verifies the peer's certificate and host name. Raises HopspanError that names the key."""
    check_tls_files(tls)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # TLS 1.0 and 1.1 are deprecated (RFC 8996); a distribution's OpenSSL may still allow them.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # RFC 9525: a certificate's names are its subjectAltName alone.
    context.hostname_checks_common_name = False
    context.set_alpn_protocols(["http/1.1"])
    if tls.ca_file is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(tls.ca_file)
    if tls.cert_file is not None:
        try:
            context.load_cert_chain(tls.cert_file, tls.key_file, password=_have_no_password)
        except ssl.SSLError as error:
            # Readable, since it was checked; what OpenSSL still refuses is too weak for it, or was renewed just now.
            raise HopspanError(f"cert_file: {tls.cert_file} cannot be used: {error.reason}") from error
    return context


def _have_no_password() -> str:
    # Else the library asks at the terminal.
    return ""
