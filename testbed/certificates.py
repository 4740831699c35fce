"""Makes certificate authorities and certificates by the openssl command: no key lies in the tree."""

import subprocess
from pathlib import Path

import msgspec

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
        directory.mkdir()
        self._directory = directory
        self._key = directory / "ca.key"
        self.ca_file = str(directory / "ca.pem")
        run_openssl(
            "req", "-x509", "-newkey", *KEY, "-nodes", "-keyout", self._key, "-out", self.ca_file, "-subj", "/CN=ca"
        )

    def issue(self, name: str, *, days: int = VALID, host: str = "localhost") -> Pair:
        """Return a new certificate for `host`, with `name` as its common name."""
        pair = Pair(str(self._directory / f"{name}.pem"), str(self._directory / f"{name}.key"))
        request, extensions = self._directory / f"{name}.csr", self._directory / f"{name}.ext"
        extensions.write_text(f"subjectAltName=DNS:{host}\n")
        run_openssl(
            "req", "-newkey", *KEY, "-nodes", "-keyout", pair.key_file, "-out", request, "-subj", f"/CN={name}"
        )
        signed_by = ("-CA", self.ca_file, "-CAkey", self._key, "-CAcreateserial")
        run_openssl(
            "x509", "-req", "-in", request, *signed_by, "-days", days, "-extfile", extensions, "-out", pair.cert_file
        )
        return pair


def run_openssl(*arguments: object) -> None:
    """Run the command. Raises CalledProcessError, or FileNotFoundError without openssl."""
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=60)
