"""The HTTP receiver behind TLS: who is served, who is not, and which file is at fault."""

import contextlib
import http.client
import shutil
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from hopspan.errors import HopspanError
from hopspan.tls_server import TlsServer
from tests.collector_plugin.http_bench import DEADLINE_S, OTLP, OTLP_PATH, PROTOBUF, HttpBench, exchange
from tests.hopspan.certificates import Authority, Pair, Parties


@contextlib.contextmanager
def serve(pair: Pair, clients: Authority | None = None) -> Iterator[HttpBench]:
    """Serve with a certificate; with `clients`, only those with one of theirs."""
    client_ca_file = clients.ca_file if clients is not None else None
    tls = TlsServer(cert_file=pair.cert_file, key_file=pair.key_file, client_ca_file=client_ca_file)
    bench = HttpBench(msgspec.structs.replace(OTLP, tls=tls))
    try:
        yield bench
    finally:
        bench.close()


def send(bench: HttpBench, authority: Authority, pair: Pair | None = None, **limits: ssl.TLSVersion) -> int:
    """Send a request over TLS; return the status, or raise what the connection ended with."""
    context = ssl.create_default_context(cafile=authority.ca_file)
    for name, version in limits.items():
        setattr(context, name, version)
    if pair is not None:
        context.load_cert_chain(pair.cert_file, pair.key_file)
    client = http.client.HTTPSConnection("localhost", bench.port, timeout=DEADLINE_S, context=context)
    with contextlib.closing(client):
        return exchange(client, bytes(200_000), OTLP_PATH, "POST", {"Content-Type": PROTOBUF}).status


def test_request_gets_in_over_tls(parties: Parties) -> None:
    """With the oldest version that is safe, and the newest."""
    with serve(parties.server) as bench:
        assert send(bench, parties.ours, maximum_version=ssl.TLSVersion.TLSv1_2) == 200
        assert send(bench, parties.ours, minimum_version=ssl.TLSVersion.TLSv1_3) == 200
        assert bench.requests.qsize() == 2


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_versions_are_not_served(parties: Parties) -> None:
    """TLS 1.1 and what came before."""
    with serve(parties.server) as bench:
        context = ssl.create_default_context(cafile=parties.ours.ca_file)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        with bench.connect() as connection, pytest.raises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(connection, server_hostname="localhost")
        bench.wait_until(lambda: bench.receiver.count_ends()["handshake"] == 1)


def test_mutual_tls_lets_in_whom_the_authority_signed(parties: Parties) -> None:
    """No certificate, or another authority's: no request gets in."""
    stranger = parties.others.issue("stranger")
    with serve(parties.server, parties.ours) as bench:
        assert send(bench, parties.ours, parties.client) == 200
        for pair in (None, stranger):
            with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
                send(bench, parties.ours, pair)
        assert bench.requests.qsize() == 1
        bench.wait_until(lambda: bench.receiver.connection_count == 0)
        assert bench.receiver.count_ends()["handshake"] == 2


@pytest.mark.parametrize("begun", [b"POST /v1/traces HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + bytes(100)])
def test_plain_text_is_not_served(parties: Parties, begun: bytes) -> None:
    """What is no handshake ends the connection; others are served."""
    with serve(parties.server) as bench:
        with bench.connect() as connection:
            connection.sendall(begun)
            connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionError):
                while connection.recv(1000):
                    pass
        bench.wait_until(lambda: bench.receiver.connection_count == 0)
        assert bench.receiver.count_ends()["handshake"] == 1
        assert send(bench, parties.ours) == 200


def test_silent_handshakes_are_counted_as_connections(parties: Parties, monkeypatch: pytest.MonkeyPatch) -> None:
    """They have a place until their time is over, and not a minute longer."""
    monkeypatch.setattr("collector_plugin.http_listener.HANDSHAKE_S", 0.2)
    with serve(parties.server) as bench, contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(bench.connect())
        bench.wait_until(lambda: bench.receiver.count_ends()["handshake"] == 20)
        assert bench.receiver.connection_count == 0
        monkeypatch.undo()
        bench.wait_until(lambda: send(bench, parties.ours) == 200)


def test_renewed_certificate_is_served(parties: Parties, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a start; while the pair does not fit together the old one is, and connections that are open go on."""
    monkeypatch.setattr("collector_plugin.receiver_http.RENEW_TICKS", 1)
    pair = Pair(str(tmp_path / "cert"), str(tmp_path / "key"))
    old, new = parties.server, parties.others.issue("renewed")
    shutil.copy(old.cert_file, pair.cert_file)
    shutil.copy(old.key_file, pair.key_file)
    with serve(pair) as bench:
        context = ssl.create_default_context(cafile=parties.ours.ca_file)
        kept = http.client.HTTPSConnection("localhost", bench.port, timeout=DEADLINE_S, context=context)
        assert exchange(kept, b"x", OTLP_PATH, "POST", {"Content-Type": PROTOBUF}).status == 200
        shutil.copy(new.cert_file, pair.cert_file)
        assert send(bench, parties.ours) == 200
        shutil.copy(new.key_file, pair.key_file)
        bench.wait_until(lambda: is_trusted(bench, parties.others))
        assert not is_trusted(bench, parties.ours)
        assert exchange(kept, b"x", OTLP_PATH, "POST", {"Content-Type": PROTOBUF}).status == 200
        kept.close()


def is_trusted(bench: HttpBench, authority: Authority) -> bool:
    """Return whether the receiver shows a certificate of this authority."""
    try:
        return send(bench, authority) == 200
    except ssl.SSLCertVerificationError:
        return False


@pytest.mark.parametrize("key", ["cert_file", "key_file", "client_ca_file"])
@pytest.mark.parametrize(("content", "said"), [(None, "cannot be read"), (b"nothing", "has no ")])
def test_unusable_file_is_named(parties: Parties, tmp_path: Path, key: str, content: bytes | None, said: str) -> None:
    """By its whole key."""
    path = tmp_path / "broken"
    if content is not None:
        path.write_bytes(content)
    good = TlsServer(
        cert_file=parties.server.cert_file,
        key_file=parties.server.key_file,
        client_ca_file=parties.ours.ca_file,
    )
    tls = msgspec.structs.replace(good, **{key: str(path)})
    with pytest.raises(HopspanError) as caught:
        HttpBench(msgspec.structs.replace(OTLP, tls=tls))
    assert str(caught.value).startswith(f"receivers.otlp.protocols.http.tls.{key}: {path} {said}")


def test_key_of_another_certificate_is_named(parties: Parties) -> None:
    """The pair is checked, not only each file."""
    tls = TlsServer(cert_file=parties.server.cert_file, key_file=parties.client.key_file)
    with pytest.raises(HopspanError, match=r"tls\.key_file: .* does not belong to cert_file"):
        HttpBench(msgspec.structs.replace(OTLP, tls=tls))
