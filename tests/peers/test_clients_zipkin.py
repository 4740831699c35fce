"""Brave and zipkin-go report to the plugin in JSON and in protobuf: Zipkin has every span as the library made it."""

from collections.abc import Iterator

import pytest

from tests.peers.clients import send_trace
from tests.peers.plugin_process import running_plugin
from tests.peers.zipkin_server import Zipkin, ZipkinSpan

pytestmark = pytest.mark.peers


@pytest.fixture(scope="module")
def plugin(zipkin: Zipkin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Return where a plugin listens that sends to Zipkin."""
    with running_plugin(tmp_path_factory.mktemp("plugin"), {"zipkin": {"endpoint": zipkin.spans_url}}) as listening:
        yield listening


@pytest.mark.parametrize(
    ("language", "protocol"),
    [("java", "brave-json"), ("java", "brave-proto"), ("go", "zipkin-go-json"), ("go", "zipkin-go-proto")],
)
def test_spans_are_as_they_were_reported(
    plugin: dict[str, str], zipkin: Zipkin, language: str, protocol: str
) -> None:
    """Field by field, the two halves of the shared span too, with trace ids of 64 bits."""
    sent = sorted(send_trace(language, protocol, plugin["zipkin"]), key=order)
    assert [span.get("kind") for span in sent] == [None, "CLIENT", "SERVER", "SERVER"]
    client, server = sent[1:3]
    assert (len(client["traceId"]), client["id"], server["shared"]) == (16, server["id"], True)
    received = zipkin.wait_for_trace(client["traceId"], lambda spans: len(spans) >= len(sent))
    assert sorted(received, key=order) == sent


def order(span: ZipkinSpan) -> tuple[str, str]:
    return span.get("kind", ""), span["name"]
