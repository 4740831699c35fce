"""The shipped file for a plugin before Zipkin. The test writes other places into a copy: keys know no environment."""

import pytest

from testbed.peers import choose_ports
from tests.peers.peers import Peers
from tests.peers.test_zipkin_backend import check_hops, read_clock_us, wait_for_hops
from tests.peers.zipkin_server import Zipkin, post_spans
from tests.peers.zipkin_story import Story
from tests.testbed.otlp_peer import send_request

pytestmark = pytest.mark.peers


def test_shipped_file_serves_applications_of_both_kinds(zipkin: Zipkin, peers: Peers) -> None:
    """OTLP and Zipkin's own format go in, and Zipkin has both traces with their hops."""
    grpc_port, http_port, zipkin_port = choose_ports(3)
    places = {
        "grpc: {endpoint: localhost:24317}": f"grpc: {{endpoint: 127.0.0.1:{grpc_port}}}",
        "http: {endpoint: localhost:24318}": f"http: {{endpoint: 127.0.0.1:{http_port}}}",
        "zipkin: {endpoint: localhost:29411}": f"zipkin: {{endpoint: 127.0.0.1:{zipkin_port}}}",
        "http://localhost:9411/api/v2/spans": zipkin.spans_url,
    }
    peers.start_plugin("plugin-zipkin.yaml", places)
    from_otlp, from_zipkin = Story(read_clock_us()), Story(read_clock_us())
    send_request(f"127.0.0.1:{grpc_port}", from_otlp.make_spans())
    post_spans(f"http://127.0.0.1:{zipkin_port}/api/v2/spans", from_zipkin.make_zipkin_spans())
    for story in (from_otlp, from_zipkin):
        for batch in story.make_transits():
            send_request(f"127.0.0.1:{grpc_port}", batch)
    for story, expected in ((from_otlp, from_otlp.expect_spans()), (from_zipkin, from_zipkin.make_zipkin_spans())):
        application, network = wait_for_hops(zipkin, story)
        assert application == expected
        check_hops(network, story)
