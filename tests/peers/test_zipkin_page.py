"""A trace with its network spans in Zipkin's own page, as a person sees it."""

from collections.abc import Iterator

import pytest

from tests.house.repository import ROOT
from tests.peers.plugin_process import running_plugin
from tests.peers.test_zipkin_backend import read_clock_us, send_transits, wait_for_hops
from tests.peers.zipkin_page import Page, Row, nest_rows, opened_page
from tests.peers.zipkin_server import Zipkin, post_spans
from tests.peers.zipkin_story import Story
from tests.testbed.otlp_peer import send_request

pytestmark = pytest.mark.peers

PICTURES = ROOT / "build" / "peers"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """Hold a browser."""
    with opened_page(tmp_path_factory.mktemp("browser")) as page:
        yield page


@pytest.fixture(scope="module")
def plugin(zipkin: Zipkin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Return where a plugin listens that sends to Zipkin."""
    exporters = {"zipkin": {"endpoint": zipkin.spans_url}}
    with running_plugin(tmp_path_factory.mktemp("plugin"), exporters) as listening:
        yield listening


def test_otlp_trace(zipkin: Zipkin, plugin: dict[str, str], page: Page) -> None:
    """All hops stand below the span that waited, beside the server's span, in order of time."""
    story = Story(read_clock_us())
    send_request(plugin["otlp_grpc"], story.make_spans())
    send_transits(plugin, story)
    wait_for_hops(zipkin, story)
    hops = [Row(f"frontend: {hop['name']}", f"{hop['duration']}μs", 2) for hop in story.expect_hops()]
    server = Row("cart: get /cart/{id}", "700μs", 2)
    top = [Row("frontend: get /checkout", "1.900ms", 0), Row("frontend: get cart", "1.600ms", 1)]
    expected = [*top, *hops[:7], server, *hops[7:]]
    assert page.open(zipkin.page_url(story.trace_id), len(expected)) == expected
    wire = expected.index(Row("frontend: underlay", "239μs", 2))
    details = page.read_details(wire, "underlay")
    page.take_picture(PICTURES / "zipkin-otlp.png")
    tags = {"hopspan.duration_ns": "240000", "tunnel.type": "vxlan", "tunnel.id": "1", "hopspan.clock.source": "same"}
    assert details.items() >= tags.items()


def test_zipkin_trace(zipkin: Zipkin, plugin: dict[str, str], page: Page) -> None:
    """Where the server shares the client's id, both are one row, above the hops and the server's own work."""
    story = Story(read_clock_us())
    post_spans(f"http://{plugin['zipkin']}/api/v2/spans", story.make_zipkin_spans())
    send_transits(plugin, story)
    wait_for_hops(zipkin, story)
    rows = page.open(zipkin.page_url(story.trace_id), 3 + len(story.expect_hops()))
    page.take_picture(PICTURES / "zipkin-b3.png")
    hops = [Row(f"frontend: {hop['name']}", f"{hop['duration']}μs", 2) for hop in story.expect_hops()]
    assert rows[0] == Row("frontend: get /checkout", "1.900ms", 0)
    assert (rows[1].duration, rows[1].depth) == ("1.600ms", 1)
    assert sorted(rows[2:], key=str) == sorted([*hops, Row("cart: read shelf", "100μs", 2)], key=str)


def test_rows_are_nested_by_what_is_written_at_them() -> None:
    """A number before the label says how many of the next rows stand below."""
    lines = [["4", "a", "1ms"], ["1", "b", "1ms"], ["c", "1ms"], ["1", "d", "1ms"], ["e", "1ms"], ["f", "1ms"]]
    assert [row.depth for row in nest_rows(lines)] == [0, 1, 2, 1, 2, 0]
