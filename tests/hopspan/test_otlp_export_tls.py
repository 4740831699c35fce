"""The exporter and TLS, with real servers and certificates: who is trusted, who is let in, what a renewal does."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import grpc
import msgspec
import pytest

from hopspan.export_errors import ExportResult, RetryableExportError
from hopspan.otlp_export import OtlpGrpcExporter
from hopspan.settings import OtlpExporter, TlsClient
from hopspan.values import Endpoint
from testbed.deadline import wait_until
from tests.hopspan.certificates import EXPIRED, VALID, Authority, Parties, Secret, serve_with
from tests.hopspan.grpc_peer import DEADLINE_S, GrpcPeer
from tests.house.repository import ROOT


@pytest.fixture
def peer(parties: Parties) -> Iterator[GrpcPeer]:
    """A peer that lets in only clients with a certificate of our authority."""
    peer = GrpcPeer(credentials=serve_with(parties.server, parties.ours))
    yield peer
    peer.close()


def open_exporter(port: int, tls: TlsClient) -> OtlpGrpcExporter:
    return OtlpGrpcExporter(OtlpExporter(endpoint=Endpoint("localhost", port), tls=tls, headers={"x-tenant": "a"}))


def expect_unreachable(port: int, tls: TlsClient) -> str:
    """Require that an export fails as one that may succeed later, and return what was said."""
    exporter = open_exporter(port, tls)
    with pytest.raises(RetryableExportError) as caught:
        exporter.export(b"x")
    exporter.close()
    assert caught.value.code == "UNAVAILABLE"
    return caught.value.message


def test_client_with_a_certificate_is_let_in(parties: Parties, peer: GrpcPeer) -> None:
    """Mutual TLS: the peer sees who comes, and the headers with it."""
    names: list[bytes] = []

    def behave(_request: bytes, context: grpc.ServicerContext) -> bytes:
        # A list, whatever the stubs say.
        names.extend(cast("list[bytes]", context.auth_context()["x509_common_name"]))
        return b""

    peer.behave = behave
    exporter = open_exporter(peer.port, parties.trusting(parties.client))
    assert exporter.export(b"request") == ExportResult()
    exporter.close()
    assert peer.take() == b"request"
    assert names == [b"node"]
    assert peer.metadata[0]["x-tenant"] == "a"


@pytest.mark.parametrize("kind", ["none", "another authority's", "expired"])
def test_client_without_a_valid_certificate_is_kept_out(parties: Parties, peer: GrpcPeer, kind: str) -> None:
    """The peer hangs up before it reads anything. A certificate can be renewed, so this is worth another attempt."""
    client = None
    if kind == "another authority's":
        client = parties.others.issue("stranger")
    elif kind == "expired":
        client = parties.ours.issue("late", days=EXPIRED)
    expect_unreachable(peer.port, parties.trusting(client))
    assert peer.seen.empty()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("another authority's", "CERTIFICATE_VERIFY_FAILED"),
        ("expired", "certificate has expired"),
        ("for another host", "Hostname Verification"),
    ],
)
def test_server_without_a_valid_certificate_gets_nothing(parties: Parties, kind: str, said: str) -> None:
    """The error says what is wrong with the certificate, and nothing was sent."""
    authority = parties.others if kind == "another authority's" else parties.ours
    days = EXPIRED if kind == "expired" else VALID
    server = authority.issue("bad", days=days, host="elsewhere" if kind == "for another host" else "localhost")
    peer = GrpcPeer(credentials=serve_with(server))
    assert said in expect_unreachable(peer.port, parties.trusting())
    peer.close()
    assert peer.seen.empty()


def test_server_is_not_trusted_by_the_public_authorities(parties: Parties) -> None:
    """Without `ca_file` a private authority is a stranger's."""
    peer = GrpcPeer(credentials=serve_with(parties.server))
    assert "CERTIFICATE_VERIFY_FAILED" in expect_unreachable(peer.port, TlsClient())
    peer.close()
    assert peer.seen.empty()


def test_plain_text_client_is_not_understood(parties: Parties, peer: GrpcPeer) -> None:
    """A client without TLS gets no further than one without a certificate."""
    del parties
    expect_unreachable(peer.port, TlsClient(insecure=True))
    assert peer.seen.empty()


@pytest.mark.parametrize("by_link", [False, True], ids=["in place", "by a symbolic link"])
def test_renewed_certificate_needs_no_restart(parties: Parties, tmp_path: Path, *, by_link: bool) -> None:
    """The peer's authority and our certificate change while the peer is away, as in a Secret of Kubernetes."""
    new = Authority(tmp_path / "new")
    secret = Secret(tmp_path, parties.ours, parties.client)
    before = GrpcPeer(credentials=serve_with(parties.server, parties.ours))
    exporter = open_exporter(before.port, secret.tls)
    exporter.export(b"before")
    before.close()
    after = GrpcPeer(before.port, serve_with(new.issue("server"), new))
    with pytest.raises(RetryableExportError):
        exporter.export(b"not trusted")
    secret.renew(new, new.issue("node"), by_link=by_link)

    def try_again() -> bool:
        try:
            return exporter.export(b"after") == ExportResult()
        except RetryableExportError:
            return False

    wait_until(try_again, "the renewed certificates were not used", DEADLINE_S)
    assert after.take() == b"after"
    exporter.close()
    after.close()


def test_half_renewed_pair_is_told(parties: Parties, tmp_path: Path) -> None:
    """A new certificate without its key is named in the error, and the exporter goes on with what it has."""
    certificate = tmp_path / "cert"
    certificate.write_bytes(Path(parties.client.cert_file).read_bytes())
    tls = msgspec.structs.replace(parties.trusting(parties.client), cert_file=str(certificate))
    exporter = open_exporter(1, tls)
    certificate.write_bytes(Path(parties.server.cert_file).read_bytes())
    for _ in range(2):
        with pytest.raises(RetryableExportError, match=r"key_file: .* does not belong to cert_file"):
            exporter.export(b"x")
    exporter.close()


SPEAK = """
import sys
from hopspan.otlp_export import OtlpGrpcExporter, RetryableExportError
from hopspan.settings import OtlpExporter, TlsClient
from hopspan.values import Endpoint
exporter = OtlpGrpcExporter(OtlpExporter(endpoint=Endpoint("localhost", int(sys.argv[1])), tls=TlsClient()))
try:
    exporter.export(b"x")
except RetryableExportError:
    print("refused")
"""


def test_library_writes_nothing_by_itself(parties: Parties) -> None:
    """Logs are JSON lines: gRPC's core must not put its own between them."""
    peer = GrpcPeer(credentials=serve_with(parties.server))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GRPC_")}
    command = [sys.executable, "-c", SPEAK, str(peer.port)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    peer.close()
    assert (done.stdout, done.stderr) == ("refused\n", "")
