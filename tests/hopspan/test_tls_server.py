"""The TLS files of our own servers: what they hold, and which of them is at fault."""

import shutil
import subprocess
from pathlib import Path

import pytest

from hopspan.errors import HopspanError
from hopspan.tls_server import TlsServer, make_server_context, read_server_stamp, read_tls_server
from tests.hopspan.certificates import Parties
from tests.requirements import lack


def test_files_are_handed_over_as_they_are(parties: Parties) -> None:
    """For libraries that take bytes; the key is not shown."""
    tls = TlsServer(
        cert_file=parties.server.cert_file, key_file=parties.server.key_file, client_ca_file=parties.ours.ca_file
    )
    files = read_tls_server(tls)
    assert files.key == Path(parties.server.key_file).read_bytes()
    assert files.certificate == Path(parties.server.cert_file).read_bytes()
    assert files.client_ca == Path(parties.ours.ca_file).read_bytes()
    assert "PRIVATE" not in repr(files)


def test_authority_of_clients_is_named_by_its_key(parties: Parties, tmp_path: Path) -> None:
    """Not by that of a client's settings, which have another name for it."""
    tls = TlsServer(
        cert_file=parties.server.cert_file,
        key_file=parties.server.key_file,
        client_ca_file=str(tmp_path / "absent"),
    )
    with pytest.raises(HopspanError, match=r"^client_ca_file: .*absent cannot be read: No such file"):
        read_tls_server(tls)


def test_weak_certificate_is_refused_at_the_start(tmp_path: Path) -> None:
    """A whole file that OpenSSL would not serve with is told by its key, not thrown."""
    if shutil.which("openssl") is None:
        lack("openssl is missing")
    tls = TlsServer(cert_file=str(tmp_path / "weak.pem"), key_file=str(tmp_path / "weak.key"))
    command = ["openssl", "req", "-x509", "-newkey", "rsa:512", "-nodes", "-subj", "/CN=weak"]
    subprocess.run(
        [*command, "-keyout", tls.key_file, "-out", tls.cert_file], check=True, capture_output=True, timeout=60
    )
    with pytest.raises(HopspanError, match=r"^cert_file: .*weak\.pem is refused by OpenSSL: "):
        make_server_context(tls)


def test_renewed_file_has_another_stamp(tmp_path: Path) -> None:
    """Whichever of the three it is."""
    names = [tmp_path / name for name in ("cert", "key", "ca")]
    for name in names:
        name.write_bytes(b"old")
    tls = TlsServer(cert_file=str(names[0]), key_file=str(names[1]), client_ca_file=str(names[2]))
    stamp = read_server_stamp(tls)
    for name in names:
        name.write_bytes(b"renewed")
        assert read_server_stamp(tls) != stamp
        stamp = read_server_stamp(tls)
