"""The TLS files of the configuration: found to be unusable at the start, and to be renewed later.

gRPC takes any bytes, tells of files that do not fit only by "Failed to create security handshaker" at each attempt,
and never looks at a file again.
"""

import ssl
from pathlib import Path

from hopspan.errors import HopspanError
from hopspan.settings import TlsClient

Stamp = tuple[tuple[int, int, int] | None, ...]
"""Of each file: inode, time of change and size; None where it cannot be seen. Says nothing of the contents."""


def check_tls_files(tls: TlsClient) -> None:
    """Require that each file can be read and is what its key says. Raises HopspanError that begins with the key."""
    for key in ("ca_file", "cert_file", "key_file"):
        name = getattr(tls, key)
        if name is not None:
            read_tls_file(key, name)
    if tls.ca_file is not None and not _has_certificate(tls.ca_file):
        raise HopspanError(f"ca_file: {tls.ca_file} has no certificate that can be read (PEM)")
    if tls.cert_file is None or tls.key_file is None:
        return
    if not _has_certificate(tls.cert_file):
        raise HopspanError(f"cert_file: {tls.cert_file} has no certificate that can be read (PEM)")
    try:
        _make_context().load_cert_chain(tls.cert_file, tls.key_file, password=_have_no_password)
    except ssl.SSLError as error:
        # The library's own words may tell of the key, so they are not repeated.
        if error.reason == "KEY_VALUES_MISMATCH":
            raise HopspanError(f"key_file: {tls.key_file} does not belong to cert_file {tls.cert_file}") from error
        raise HopspanError(
            f"key_file: {tls.key_file} has no private key that can be read (PEM, without a password)"
        ) from error


def read_tls_file(key: str, name: str) -> bytes:
    """Return the file's bytes. Raises HopspanError that names the key."""
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise HopspanError(f"{key}: {name} cannot be read: {error.strerror}") from error


def read_stamp(tls: TlsClient) -> Stamp:
    """Return a value that differs once a file was renewed, in place or as Kubernetes does it, by a symbolic link."""
    return tuple(_read_stamp(name) for name in (tls.ca_file, tls.cert_file, tls.key_file))


def _read_stamp(name: str | None) -> tuple[int, int, int] | None:
    try:
        status = Path(name).stat() if name is not None else None
    except OSError:
        return None
    return (status.st_ino, status.st_mtime_ns, status.st_size) if status is not None else None


def _has_certificate(name: str) -> bool:
    context = _make_context()
    try:
        context.load_verify_locations(name)
    except ssl.SSLError:
        return False
    return context.cert_store_stats()["x509"] > 0


def _make_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # How strong a key must be is for gRPC's own library to say; this one only reads.
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def _have_no_password() -> str:
    # Else the library asks at the terminal.
    return ""
