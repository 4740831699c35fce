"""Makes certificate authorities and certificates for tests, by the openssl command: no key lies in the tree."""

import shutil
import subprocess
from pathlib import Path

import grpc
import msgspec

from hopspan.settings import TlsClient
from tests.requirements import lack

KEY = ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
VALID = 2
EXPIRED = -1
"""Days: until yesterday."""


class Pair(msgspec.Struct, frozen=True):
    """The files of a certificate and its key."""

    cert_file: str
    key_file: str


class Authority:
    """Signs certificates; its own is `ca_file`."""

    def __init__(self, directory: Path) -> None:
        """Write everything to the directory, which is made."""
        if shutil.which("openssl") is None:
            lack("openssl is missing")
        directory.mkdir()
        self._directory = directory
        self._key = directory / "ca.key"
        self.ca_file = str(directory / "ca.pem")
        _run("req", "-x509", "-newkey", *KEY, "-nodes", "-keyout", self._key, "-out", self.ca_file, "-subj", "/CN=ca")

    def issue(self, name: str, *, days: int = VALID, host: str = "localhost") -> Pair:
        """Return a new certificate for `host`, with `name` as its common name."""
        pair = Pair(str(self._directory / f"{name}.pem"), str(self._directory / f"{name}.key"))
        request, extensions = self._directory / f"{name}.csr", self._directory / f"{name}.ext"
        extensions.write_text(f"subjectAltName=DNS:{host}\n")
        _run("req", "-newkey", *KEY, "-nodes", "-keyout", pair.key_file, "-out", request, "-subj", f"/CN={name}")
        signed_by = ("-CA", self.ca_file, "-CAkey", self._key, "-CAcreateserial")
        _run(
            "x509", "-req", "-in", request, *signed_by, "-days", days, "-extfile", extensions, "-out", pair.cert_file
        )
        return pair


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
    _run("ec", "-in", pair.key_file, "-aes128", "-passout", "pass:word", "-out", name)
    return Pair(pair.cert_file, str(name))


def _run(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=60)
