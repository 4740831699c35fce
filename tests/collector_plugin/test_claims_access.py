"""Who may listen for claims, and who is told what."""

import time

import grpc
import pytest

from collector_plugin import claims as claims_module
from collector_plugin.bearer_auth import BearerAuth
from collector_plugin.config import GrpcProtocol
from hopspan.values import Endpoint
from tests.collector_plugin.claim_story import claim
from tests.collector_plugin.claims_peer import DEADLINE_S, Agent, connect, serve


def test_agents_show_the_token_of_the_receiver() -> None:
    """As for transits: without it nobody hears what is claimed."""
    settings = GrpcProtocol(endpoint=Endpoint("localhost", 0), auth=BearerAuth(tokens=("right",)))
    with serve(settings) as plugin:
        for token in (None, "wrong"):
            with connect(plugin, token=token) as agent:
                assert agent.fail() is grpc.StatusCode.UNAUTHENTICATED
        with connect(plugin, token="right") as agent:  # noqa: S106 - a test's
            plugin.wait_for_agents(1)
            plugin.claims.take_in([claim()], [], 0)
            plugin.claims.flush(1)
            assert agent.read() == [claim()]


@pytest.mark.parametrize(
    ("hello", "code"),
    [
        (b"", grpc.StatusCode.INVALID_ARGUMENT),
        (b"\x01", grpc.StatusCode.INVALID_ARGUMENT),
        (b"\x02\x03one\x00", grpc.StatusCode.UNIMPLEMENTED),
    ],
)
def test_agent_of_another_version_is_told(hello: bytes, code: grpc.StatusCode) -> None:
    """And so is the plugin's log."""
    with serve() as plugin, grpc.insecure_channel(str(plugin.receiver.endpoint)) as channel:
        assert Agent(channel, hello).fail() is code
        assert ("another version" in plugin.log.getvalue()) is (code is grpc.StatusCode.UNIMPLEMENTED)
        assert plugin.read("claim_agents")[""] == 0


def test_plugin_without_flows_has_no_claims() -> None:
    """The method is not there, as in a plugin of a former release."""
    with serve(with_claims=False) as plugin, connect(plugin) as agent:
        assert agent.fail() is grpc.StatusCode.UNIMPLEMENTED


def test_no_more_agents_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next is told to come again."""
    monkeypatch.setattr(claims_module, "MAX_AGENTS", 1)
    with serve() as plugin, connect(plugin, "one"):
        plugin.wait_for_agents(1)
        with connect(plugin, "two") as two:
            assert two.fail() is grpc.StatusCode.UNAVAILABLE


def test_stop_waits_for_no_stream() -> None:
    """It has no end of its own."""
    with serve() as plugin, connect(plugin) as agent:
        plugin.wait_for_agents(1)
        started = time.monotonic()
        plugin.receiver.stop(DEADLINE_S)
        assert time.monotonic() - started < DEADLINE_S / 2
        assert agent.fail() in (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE)
