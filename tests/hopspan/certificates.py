"""Certificates for tests: who trusts whom, and files that are renewed."""

import shutil
from pathlib import Path

import grpc
import msgspec

from hopspan.settings import TlsClient
from testbed import certificates
from testbed.certificates import EXPIRED, VALID, Pair, run_openssl
from tests.requirements import lack

__all__ = ["EXPIRED", "VALID", "Authority", "Pair", "Parties", "Secret", "encrypt_key", "serve_with"]


class Authority(certificates.Authority):
    """Signs certificates, where the machine can."""

    def __init__(self, directory: Path) -> None:
        """Write everything to the directory, which is made."""
        if shutil.which("openssl") is None:
            lack("openssl is missing")
        super().__init__(directory)


class Parties(msgspec.Struct, frozen=True):
    """Everybody's certificates."""

    ours: Authority
    others: Authority
    server: Pair
    client: Pair

    def trusting(self, client: Pair | None = None) -> TlsClient:
        """Return the settings of a client that trusts the server, and may have a certificate of its own."""
        cert_file, key_file = (client.cert_file, client.key_file) if client is not None else (None, None)
        return TlsClient(ca_file=self.ours.ca_file, cert_file=cert_file, key_file=key_file)


class Secret:
    """Files of an authority and a pair in one directory, renewed as a Secret of Kubernetes is, or in place."""

    def __init__(self, directory: Path, authority: Authority, pair: Pair) -> None:
        """Write the first ones."""
        self._directory = directory
        self._volume = directory / "volume"
        self._volume.symlink_to(self._write("old", authority, pair))

    @property
    def tls(self) -> TlsClient:
        """Return the settings of a client that reads the files."""
        ca_file, cert_file, key_file = (str(self._volume / name) for name in ("ca", "cert", "key"))
        return TlsClient(ca_file=ca_file, cert_file=cert_file, key_file=key_file)

    def renew(self, authority: Authority, pair: Pair, *, by_link: bool) -> None:
        """Put new ones in their place: all at once by a symbolic link, or one after the other."""
        renewed = self._write("renewed", authority, pair)
        if by_link:
            (self._directory / "link").symlink_to(renewed)
            (self._directory / "link").replace(self._volume)
        else:
            for path in renewed.iterdir():
                (self._volume / path.name).write_bytes(path.read_bytes())

    def _write(self, name: str, authority: Authority, pair: Pair) -> Path:
        directory = self._directory / name
        directory.mkdir(exist_ok=True)
        for file, source in (("ca", authority.ca_file), ("cert", pair.cert_file), ("key", pair.key_file)):
            (directory / file).write_bytes(Path(source).read_bytes())
        return directory


def serve_with(pair: Pair, clients: Authority | None = None) -> grpc.ServerCredentials:
    """Return the credentials of a server; with `clients`, one that lets in only who has a certificate of theirs."""
    key, certificate = Path(pair.key_file).read_bytes(), Path(pair.cert_file).read_bytes()
    roots = Path(clients.ca_file).read_bytes() if clients is not None else None
    return grpc.ssl_server_credentials([(key, certificate)], roots, require_client_auth=clients is not None)


def encrypt_key(pair: Pair, name: Path) -> Pair:
    """Return the pair with its key behind a password."""
    run_openssl("ec", "-in", pair.key_file, "-aes128", "-passout", "pass:word", "-out", name)
    return Pair(pair.cert_file, str(name))
