"""The HTTP client and TLS, with real servers and certificates: who is trusted, who is let in, what a renewal does."""

import re
import ssl
import warnings
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from hopspan.errors import HopspanError
from hopspan.export_errors import RetryableExportError
from hopspan.http_client import HttpClient
from hopspan.http_export_settings import ZipkinExporterSettings
from hopspan.http_url import HttpUrl
from hopspan.settings import TlsClient
from hopspan.values import Endpoint
from tests.hopspan.certificates import EXPIRED, VALID, Authority, Parties, Secret
from tests.hopspan.http_peer import HttpPeer, serve_tls


@pytest.fixture
def peer(parties: Parties) -> Iterator[HttpPeer]:
    """A peer that lets in only clients with a certificate of our authority."""
    peer = HttpPeer(context=serve_tls(parties.server, parties.ours))
    yield peer
    peer.close()


def open_client(port: int, tls: TlsClient, host: str = "localhost", scheme: str = "https") -> HttpClient:
    url = HttpUrl(scheme, Endpoint(host, port), "/")
    return HttpClient(ZipkinExporterSettings(endpoint=url, tls=tls), "text/plain")


def expect_unreachable(client: HttpClient) -> str:
    """Require that a post fails as one that may succeed later, and return what was said."""
    with pytest.raises(RetryableExportError) as caught:
        client.post(b"x")
    client.close()
    assert caught.value.code == "UNAVAILABLE"
    return caught.value.message


def test_client_with_a_certificate_is_let_in(parties: Parties, peer: HttpPeer) -> None:
    """Mutual TLS: the peer sees who comes; and one connection is enough for several posts."""
    client = open_client(peer.port, parties.trusting(parties.client))
    large = bytes(range(256)) * 20_000
    for body in (b"request", large, b""):
        assert client.post(body).status == 200
        request = peer.take()
        assert (request.body, request.client_name) == (body, "node")
    client.close()
    assert peer.connections == 1


def test_certificate_may_be_for_an_address(parties: Parties) -> None:
    """Peers without a name are checked by their address."""
    pair = parties.ours.issue("address", host="localhost,IP:127.0.0.1")
    peer = HttpPeer(context=serve_tls(pair))
    client = open_client(peer.port, parties.trusting(), "127.0.0.1")
    assert client.post(b"x").status == 200
    client.close()
    peer.close()


@pytest.mark.parametrize("kind", ["none", "another authority's", "expired"])
def test_client_without_a_valid_certificate_is_kept_out(parties: Parties, peer: HttpPeer, kind: str) -> None:
    """The peer hangs up before it reads anything. A certificate can be renewed, so this is worth another attempt."""
    client = None
    if kind == "another authority's":
        client = parties.others.issue("stranger over http")
    elif kind == "expired":
        client = parties.ours.issue("late over http", days=EXPIRED)
    expect_unreachable(open_client(peer.port, parties.trusting(client)))
    assert peer.received.empty()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("another authority's", "its certificate is not accepted: unable to get local issuer certificate"),
        ("expired", "its certificate is not accepted: certificate has expired"),
        ("for another host", "its certificate is not accepted: Hostname mismatch"),
    ],
)
def test_server_without_a_valid_certificate_gets_nothing(parties: Parties, kind: str, said: str) -> None:
    """The error says what is wrong with the certificate, and nothing was sent."""
    authority = parties.others if kind == "another authority's" else parties.ours
    days = EXPIRED if kind == "expired" else VALID
    host = "elsewhere" if kind == "for another host" else "localhost"
    peer = HttpPeer(context=serve_tls(authority.issue("bad over http", days=days, host=host)))
    assert said in expect_unreachable(open_client(peer.port, parties.trusting()))
    peer.close()
    assert peer.received.empty()


def test_name_in_the_subject_is_no_name(parties: Parties) -> None:
    """RFC 9525: a common name that looks like the host does not stand in for a subjectAltName."""
    peer = HttpPeer(context=serve_tls(parties.ours.issue("localhost", host="elsewhere")))
    assert "Hostname mismatch" in expect_unreachable(open_client(peer.port, parties.trusting()))
    peer.close()


def test_server_is_not_trusted_by_the_public_authorities(parties: Parties) -> None:
    """Without `ca_file` a private authority is a stranger's."""
    peer = HttpPeer(context=serve_tls(parties.server))
    assert "not accepted" in expect_unreachable(open_client(peer.port, TlsClient()))
    peer.close()
    assert peer.received.empty()


def test_old_tls_is_not_spoken(parties: Parties) -> None:
    """A server that ends at TLS 1.1 is not sent anything."""
    context = serve_tls(parties.server)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    peer = HttpPeer(context=context)
    assert "TLS: " in expect_unreachable(open_client(peer.port, parties.trusting()))
    peer.close()
    assert peer.received.empty()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_both_versions_are_spoken(parties: Parties, version: ssl.TLSVersion) -> None:
    """TLS 1.2 and 1.3, and a connection is used again with either."""
    context = serve_tls(parties.server)
    context.minimum_version = context.maximum_version = version
    peer = HttpPeer(context=context)
    client = open_client(peer.port, parties.trusting())
    for _ in range(3):
        assert client.post(b"x").status == 200
    client.close()
    peer.close()
    assert peer.connections == 1


@pytest.mark.parametrize(("scheme", "said"), [("http", "closed|reset"), ("https", "TLS: ")])
def test_plain_text_and_tls_do_not_understand_each_other(parties: Parties, scheme: str, said: str) -> None:
    """A wrong scheme is told as what it is, and can be corrected at either side."""
    peer = HttpPeer(context=serve_tls(parties.server) if scheme == "http" else None)
    tls = parties.trusting() if scheme == "https" else TlsClient()
    assert re.search(said, expect_unreachable(open_client(peer.port, tls, scheme=scheme)))
    peer.close()
    assert peer.received.empty()


@pytest.mark.parametrize("by_link", [False, True], ids=["in place", "by a symbolic link"])
def test_renewed_certificate_needs_no_restart(parties: Parties, tmp_path: Path, *, by_link: bool) -> None:
    """The peer's authority and our certificate change while the peer is away, as in a Secret of Kubernetes."""
    new = Authority(tmp_path / "new")
    secret = Secret(tmp_path, parties.ours, parties.client)
    before = HttpPeer(context=serve_tls(parties.server, parties.ours))
    client = open_client(before.port, secret.tls)
    client.post(b"before")
    before.close()
    after = HttpPeer(before.port, serve_tls(new.issue("server"), new))
    with pytest.raises(RetryableExportError):
        client.post(b"the old connection, or the old authority")
    secret.renew(new, new.issue("node"), by_link=by_link)
    with pytest.raises(RetryableExportError, match="not accepted"):
        client.post(b"the failure that makes it look")
    assert client.post(b"after").status == 200
    assert after.take().body == b"after"
    client.close()
    after.close()


def test_half_renewed_pair_is_told(parties: Parties, tmp_path: Path) -> None:
    """A new certificate without its key is named in the error, and the client goes on with what it has."""
    certificate = tmp_path / "cert"
    certificate.write_bytes(Path(parties.client.cert_file).read_bytes())
    tls = msgspec.structs.replace(parties.trusting(parties.client), cert_file=str(certificate))
    client = open_client(1, tls)
    certificate.write_bytes(Path(parties.server.cert_file).read_bytes())
    for _ in range(2):
        with pytest.raises(RetryableExportError, match=r"key_file: .* does not belong to cert_file"):
            client.post(b"x")
    client.close()


def test_absent_tls_file_is_named(tmp_path: Path) -> None:
    """A start with a wrong path says which key and which file."""
    with pytest.raises(HopspanError, match=r"ca_file: .*absent.pem cannot be read"):
        open_client(1, TlsClient(ca_file=str(tmp_path / "absent.pem")))
