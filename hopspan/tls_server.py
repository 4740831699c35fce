"""TLS of our own servers: settings, their files checked at the start by key and name, and read again once renewed.

An edge: it reads the files. Below TLS 1.2 nobody is served.
"""

import ssl
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from hopspan.errors import HopspanError
from hopspan.settings import TlsClient
from hopspan.tls_files import Stamp, check_tls_files, read_stamp, read_tls_file

T = TypeVar("T")


class TlsServer(msgspec.Struct, frozen=True, kw_only=True):
    """TLS towards clients."""

    cert_file: str
    """PEM file of our certificate, with those of intermediate authorities behind it. Required."""
    key_file: str
    """PEM file of its private key, without a password. Required."""
    client_ca_file: str | None = None
    """PEM file of the authorities that sign clients' certificates: only whoever has one is served (mutual TLS).
    Default: none, every client is served."""


class TlsServerFiles(msgspec.Struct, frozen=True):
    """What the files hold (PEM)."""

    key: bytes
    certificate: bytes
    client_ca: bytes | None

    def __repr__(self) -> str:
        """Leave out the key."""
        return f"TlsServerFiles(certificate={len(self.certificate)} bytes)"


def check_tls_server(tls: TlsServer) -> None:
    """Require that each file can be read and is what its key says. Raises HopspanError that begins with the key."""
    check_tls_files(TlsClient(cert_file=tls.cert_file, key_file=tls.key_file))
    if tls.client_ca_file is not None:
        try:
            check_tls_files(TlsClient(ca_file=tls.client_ca_file))
        except HopspanError as error:
            # The same file by its name on this side.
            raise HopspanError(f"client_{error}") from error


def read_tls_server(tls: TlsServer) -> TlsServerFiles:
    """Return what the checked files hold, as gRPC wants it. Raises HopspanError that begins with the key."""
    check_tls_server(tls)
    return TlsServerFiles(
        key=read_tls_file("key_file", tls.key_file),
        certificate=read_tls_file("cert_file", tls.cert_file),
        client_ca=read_tls_file("client_ca_file", tls.client_ca_file) if tls.client_ca_file is not None else None,
    )


def read_server_stamp(tls: TlsServer) -> Stamp:
    """Return a value that differs once a file was renewed."""
    return read_stamp(TlsClient(ca_file=tls.client_ca_file, cert_file=tls.cert_file, key_file=tls.key_file))


def make_server_context(tls: TlsServer) -> ssl.SSLContext:
    """Return what OpenSSL needs to serve with the files. Raises HopspanError that begins with the key."""
    check_tls_server(tls)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A client could ask for it again and again, at our cost.
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    except ssl.SSLError as error:
        # The files are whole, so it is their strength.
        raise HopspanError(f"cert_file: {tls.cert_file} is refused by OpenSSL: {error.reason}") from error
    if tls.client_ca_file is not None:
        context.load_verify_locations(tls.client_ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class Renewed(Generic[T]):
    """What is made of the files as they are now. For one thread at a time."""

    def __init__(self, tls: TlsServer, read: Callable[[TlsServer], T]) -> None:
        """Read the files by `read`. Raises HopspanError that begins with the key."""
        self._tls = tls
        self._read = read
        self._stamp = read_server_stamp(tls)
        self.value = read(tls)

    def renew(self) -> bool:
        """Read the files again if they changed; True where there is a new value.

        Connections that are open keep what they began with.
        """
        stamp = read_server_stamp(self._tls)
        if stamp == self._stamp:
            return False
        try:
            self.value = self._read(self._tls)
        except (HopspanError, OSError):
            # Half of them is renewed, or one is gone for a moment: what was read before serves until all can be read.
            return False
        self._stamp = stamp
        return True
