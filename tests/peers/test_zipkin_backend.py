"""Zipkin 3 behind the plugin has every application span whole and each network span under its parent.

It draws the same map of services as without.
"""

import time
from collections.abc import Iterator

import pytest

from tests.peers.plugin_process import running_plugin
from tests.peers.zipkin_server import Zipkin, ZipkinSpan, post_spans
from tests.peers.zipkin_story import Story
from tests.testbed.otlp_peer import send_request

pytestmark = pytest.mark.peers

HOPS = 14
SCOPE_TAG = "otel.scope.name"
DAY_S = 86_400


@pytest.fixture(scope="module")
def plugin(zipkin: Zipkin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Return where a plugin listens that sends to Zipkin."""
    exporters = {"zipkin": {"endpoint": zipkin.spans_url}}
    with running_plugin(tmp_path_factory.mktemp("plugin"), exporters) as listening:
        yield listening


def test_otlp_in_zipkin_out(zipkin: Zipkin, plugin: dict[str, str]) -> None:
    """Applications speak OTLP: their spans are in Zipkin as the docs say, and the hops beside the server's span."""
    story = Story(read_clock_us())
    send_request(plugin["otlp_grpc"], story.make_spans())
    send_transits(plugin, story)
    application, network = wait_for_hops(zipkin, story)
    assert application == story.expect_spans()
    check_hops(network, story)


@pytest.mark.parametrize("digits", [32, 16])
def test_zipkin_in_zipkin_out(zipkin: Zipkin, plugin: dict[str, str], digits: int) -> None:
    """Both halves of a shared span are as the applications reported them, and the hops are the client's."""
    story = Story(read_clock_us(), Story(0).trace_id[-digits:])
    post_spans(f"http://{plugin['zipkin']}/api/v2/spans", story.make_zipkin_spans())
    send_transits(plugin, story)
    application, network = wait_for_hops(zipkin, story)
    assert application == story.make_zipkin_spans()
    check_hops(network, story)


def test_services_depend_on_each_other_as_without(zipkin: Zipkin, plugin: dict[str, str]) -> None:
    """The map of services is the one that Zipkin draws where nothing was injected, calls and errors counted alike."""
    # Each in a time of its own, so that each can be asked for alone.
    begins_us = [(int(time.time()) - days * DAY_S) * 1_000_000 for days in (9, 6, 3)]
    plain, from_zipkin, from_otlp = (Story(begin_us) for begin_us in begins_us)
    zipkin.post(plain.make_zipkin_spans())
    zipkin.wait_for_trace(plain.trace_id, lambda spans: len(spans) == len(plain.make_zipkin_spans()))
    post_spans(f"http://{plugin['zipkin']}/api/v2/spans", from_zipkin.make_zipkin_spans())
    send_request(plugin["otlp_grpc"], from_otlp.make_spans())
    for story in (from_zipkin, from_otlp):
        send_transits(plugin, story)
        wait_for_hops(zipkin, story)
    link = {"parent": "frontend", "child": "cart", "callCount": 1, "errorCount": 1}
    for story in (plain, from_zipkin, from_otlp):
        assert zipkin.read_dependencies(story.start_us // 1000 + DAY_S * 1000, 2 * DAY_S * 1000) == [link]


def send_transits(plugin: dict[str, str], story: Story) -> None:
    for batch in story.make_transits():
        send_request(plugin["otlp_grpc"], batch)


def wait_for_hops(zipkin: Zipkin, story: Story) -> tuple[list[ZipkinSpan], list[ZipkinSpan]]:
    """Wait for all network spans; return the applications' and the network's, each in order of time."""
    spans = zipkin.wait_for_trace(story.trace_id, lambda spans: sum(is_network(span) for span in spans) >= HOPS)
    spans.sort(key=lambda span: span["timestamp"])
    return [span for span in spans if not is_network(span)], [span for span in spans if is_network(span)]


def is_network(span: ZipkinSpan) -> bool:
    return bool(span.get("tags", {}).get(SCOPE_TAG) == "hopspan")


def check_hops(network: list[ZipkinSpan], story: Story) -> None:
    """Check that these hops are there and no others, each with nothing that would make it a call or a host."""
    expected = story.expect_hops()
    assert len({span["id"] for span in network}) == len(network) == len(expected)
    for span, hop in zip(network, expected, strict=True):
        assert {key: span[key] for key in hop if key != "tags"} == {key: hop[key] for key in hop if key != "tags"}
        assert span["tags"].items() >= hop["tags"].items()
        assert span.keys() == hop.keys() | {"id"}


def read_clock_us() -> int:
    return time.time_ns() // 1000
