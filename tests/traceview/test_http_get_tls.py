"""The door to backends and TLS, with real certificates: who is believed, and what --insecure gives up."""

from collections.abc import Iterator

import pytest

from hopspan.http_url import read_http_url
from hopspan.settings import TlsClient
from tests.hopspan.certificates import Parties
from tests.hopspan.http_peer import serve_tls
from tests.traceview.fake_backend import FakeBackend, make_answer
from traceview.http_get import Backend, BackendError, HttpGetter

ANSWERS = {"/x": make_answer(200, b"[]")}


@pytest.fixture
def backend(parties: Parties) -> Iterator[FakeBackend]:
    """A backend with a certificate of our authority for `localhost`."""
    with FakeBackend(ANSWERS, serve_tls(parties.server)) as backend:
        yield backend


def test_our_authority(parties: Parties, backend: FakeBackend) -> None:
    """The certificate is checked with the authorities of a file."""
    assert HttpGetter(Backend(url=backend.url, tls=parties.trusting())).get("/x").body == b"[]"


def test_who_is_not_believed(parties: Parties, backend: FakeBackend) -> None:
    """An authority that is not ours, and a name that is not the certificate's, get no request."""
    other = TlsClient(ca_file=parties.others.ca_file)
    elsewhere = read_http_url(str(backend.url).replace("localhost", "127.0.0.1"))
    for asked in (Backend(url=backend.url, tls=other), Backend(url=elsewhere, tls=parties.trusting())):
        with pytest.raises(BackendError, match="its certificate is not accepted: "):
            HttpGetter(asked).get("/x")
    assert backend.requests == []


def test_insecure(backend: FakeBackend) -> None:
    """Without verification anybody is believed, under any name."""
    elsewhere = read_http_url(str(backend.url).replace("localhost", "127.0.0.1"))
    assert HttpGetter(Backend(url=elsewhere, verify=False)).get("/x").body == b"[]"


def test_our_certificate(parties: Parties) -> None:
    """Mutual TLS: a backend that wants to know us lets us in with a certificate, and not without."""
    with FakeBackend(ANSWERS, serve_tls(parties.server, parties.ours)) as backend:
        assert HttpGetter(Backend(url=backend.url, tls=parties.trusting(parties.client))).get("/x").body == b"[]"
        with pytest.raises(BackendError, match=r"TLS: |reset"):
            HttpGetter(Backend(url=backend.url, tls=parties.trusting())).get("/x")
