"""The agent's own streams to the plugin's own receiver, with mutual TLS and a token, as transits go."""

import io
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from collector_plugin.bearer_auth import BearerAuth
from collector_plugin.config import GrpcProtocol
from hopspan.flow_claims import Batch, Hello, encode_hello
from hopspan.logs import Log
from hopspan.settings import ExporterAuth, LogLevel, OtlpExporter, TlsClient
from hopspan.tls_server import TlsServer
from hopspan.values import Endpoint
from node_probe import claim_streams
from node_probe.claim_streams import ClaimStreams
from testbed.deadline import wait_until
from tests.collector_plugin.claim_story import claim
from tests.collector_plugin.claims_peer import DEADLINE_S, Plugin, serve
from tests.hopspan.certificates import Parties

TOKEN = "of-the-agents"  # noqa: S105 - a test's


class Listener:
    """An agent's streams, and what they brought."""

    def __init__(self, plugin: Plugin, tls: TlsClient, token_file: Path) -> None:
        self.log = io.StringIO()
        self.taken: queue.Queue[Batch] = queue.Queue()
        endpoint = Endpoint("localhost", plugin.receiver.endpoint.port)
        exporter = OtlpExporter(endpoint=endpoint, tls=tls, auth=ExporterAuth(bearer_token_file=str(token_file)))
        hello = encode_hello(Hello("one", "clock of one"))
        self.streams = ClaimStreams((endpoint,), exporter, hello, self.taken.put, Log(LogLevel.INFO, self.log))


@contextmanager
def listening(plugin: Plugin, tls: TlsClient, token_file: Path) -> Iterator[Listener]:
    """Hold the streams."""
    listener = Listener(plugin, tls, token_file)
    listener.streams.start()
    try:
        yield listener
    finally:
        listener.streams.stop()


@pytest.fixture
def plugin(parties: Parties) -> Iterator[Plugin]:
    """One that serves only agents with a certificate and the token."""
    tls = TlsServer(
        cert_file=parties.server.cert_file, key_file=parties.server.key_file, client_ca_file=parties.ours.ca_file
    )
    settings = GrpcProtocol(endpoint=Endpoint("localhost", 0), tls=tls, auth=BearerAuth(tokens=(TOKEN,)))
    with serve(settings) as plugin:
        yield plugin


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    """The agents' file with the token."""
    path = tmp_path / "token"
    path.write_text(TOKEN)
    return path


def test_claims_come_over_mutual_tls(plugin: Plugin, parties: Parties, token_file: Path) -> None:
    """The certificate is checked by the plugin's name, though each of its addresses has a stream of its own."""
    with listening(plugin, parties.trusting(parties.client), token_file) as listener:
        plugin.wait_for_agents(1)
        plugin.claims.take_in([claim()], [], 0)
        plugin.claims.flush(1)
        batches = iter(lambda: listener.taken.get(timeout=DEADLINE_S).claims, None)
        assert next(claims for claims in batches if claims) == [claim()]


def test_token_that_is_missing_at_first_is_found_later(
    plugin: Plugin, parties: Parties, token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is just being replaced costs one look at the plugins' addresses, and no more."""
    monkeypatch.setattr(claim_streams, "RESOLVE_INTERVAL_S", 0.1)
    token_file.write_text("")
    with listening(plugin, parties.trusting(parties.client), token_file) as listener:
        wait_until(lambda: "token" in listener.log.getvalue(), "nothing is logged", DEADLINE_S)
        token_file.write_text(TOKEN)
        plugin.wait_for_agents(1)


@pytest.mark.parametrize("fault", ["no certificate", "a foreign plugin", "a wrong token"])
def test_others_hear_nothing(plugin: Plugin, parties: Parties, token_file: Path, fault: str) -> None:
    """Neither side speaks to one that it does not know; the agent says so, without its token, and tries again."""
    tls = parties.trusting(None if fault == "no certificate" else parties.client)
    if fault == "a foreign plugin":
        tls = TlsClient(ca_file=parties.others.ca_file, cert_file=tls.cert_file, key_file=tls.key_file)
    if fault == "a wrong token":
        token_file.write_text("of-nobody")
    with listening(plugin, tls, token_file) as listener:
        wait_until(lambda: "no claims from a plugin" in listener.log.getvalue(), "nothing is logged", DEADLINE_S)
        assert listener.streams.connected == 0
        assert plugin.read("claim_agents")[""] == 0
        assert listener.taken.empty()
        assert ("UNAUTHENTICATED" in listener.log.getvalue()) is (fault == "a wrong token")
        assert "of-nobody" not in listener.log.getvalue()
