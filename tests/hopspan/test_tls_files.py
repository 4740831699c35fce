"""TLS files that cannot be used: told at the start by key and name, each kind of fault for each key."""

from pathlib import Path

import msgspec
import pytest

from hopspan.errors import HopspanError
from hopspan.otlp_export import OtlpGrpcExporter
from hopspan.settings import OtlpExporter, TlsClient
from hopspan.values import Endpoint
from tests.hopspan.certificates import Parties, encrypt_key


def break_file(parties: Parties, directory: Path, key: str, kind: str) -> TlsClient:
    """Return settings whose file of `key` is broken."""
    path = directory / "broken"
    if kind == "garbage":
        path.write_bytes(b"-----BEGIN NOTHING-----\n\x00\xff")
    elif kind == "empty":
        path.touch()
    elif kind == "a directory":
        path.mkdir()
    elif kind == "another's":
        path.write_bytes(Path(parties.server.key_file).read_bytes())
    elif kind == "behind a password":
        encrypt_key(parties.client, path)
    elif kind == "cut off":
        path.write_bytes(Path(getattr(parties.trusting(parties.client), key)).read_bytes()[:150])
    return msgspec.structs.replace(parties.trusting(parties.client), **{key: str(path)})


@pytest.mark.parametrize(
    ("key", "kind", "said"),
    [
        *((key, "absent", "cannot be read: No such file") for key in ("ca_file", "cert_file", "key_file")),
        *((key, "a directory", "cannot be read: Is a directory") for key in ("ca_file", "cert_file", "key_file")),
        *(
            (key, kind, "no certificate")
            for key in ("ca_file", "cert_file")
            for kind in ("garbage", "empty", "cut off")
        ),
        *(("key_file", kind, "no private key") for kind in ("garbage", "empty", "cut off", "behind a password")),
        ("key_file", "another's", "does not belong to cert_file"),
    ],
)
def test_unusable_file_is_told_at_the_start(parties: Parties, tmp_path: Path, key: str, kind: str, said: str) -> None:
    """One line names key and file, and says nothing of what is in it. GRPC itself would only fail, and for ever."""
    tls = break_file(parties, tmp_path, key, kind)
    with pytest.raises(HopspanError) as caught:
        OtlpGrpcExporter(OtlpExporter(endpoint=Endpoint("localhost", 1), tls=tls))
    text = str(caught.value)
    assert text.startswith(f"{key}: {tmp_path / 'broken'} ")
    assert said in text
    assert "\n" not in text


def test_file_that_may_not_be_read_is_told_at_the_start(parties: Parties, tmp_path: Path) -> None:
    """As an ordinary user: the key belongs to somebody else."""
    secret = tmp_path / "secret.key"
    secret.write_bytes(Path(parties.client.key_file).read_bytes())
    secret.chmod(0)
    try:
        secret.read_bytes()
    except PermissionError:
        tls = msgspec.structs.replace(parties.trusting(parties.client), key_file=str(secret))
        with pytest.raises(HopspanError, match=r"key_file: .*secret\.key cannot be read: Permission denied"):
            OtlpGrpcExporter(OtlpExporter(endpoint=Endpoint("localhost", 1), tls=tls))
        return
    # Root reads everything; then a link that leads to itself is what cannot be opened.
    secret.unlink()
    secret.symlink_to(secret)
    tls = msgspec.structs.replace(parties.trusting(parties.client), key_file=str(secret))
    with pytest.raises(HopspanError, match=r"key_file: .*secret\.key cannot be read: "):
        OtlpGrpcExporter(OtlpExporter(endpoint=Endpoint("localhost", 1), tls=tls))
