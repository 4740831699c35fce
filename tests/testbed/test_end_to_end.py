"""From packets to spans with real Envoys, probes and plugin: every request, transit, hop and span is accounted for.

Applications and sidecars send through a tap, so that what they sent is known to the byte; a recorder is the backend.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from testbed.client import send_requests
from testbed.mesh import started_mesh
from testbed.observer import Sighting, list_sightings, open_observer
from testbed.topology import CART_SERVICE, FRONTEND, MANAGEMENT_GATEWAY, NODE_1, NODES, PLUGIN_ENDPOINT, Node
from tests.requirements import require_bcc
from tests.testbed.accounts import leave_out_exports
from tests.testbed.hand_made import HAND_MADE, HAND_MADE_SPANS
from tests.testbed.hop_rules import (
    CART_HOPS,
    CATALOG_HOPS,
    PARENTS,
    Hop,
    check_hops,
    check_times,
    find_parents,
    list_children,
    read_duration_ns,
)
from tests.testbed.otlp_peer import OtlpPeer, Received, read_group, send_request
from tests.testbed.programs_under_test import count_transits, running_probes, start_plugin, stop_and_count

pytestmark = pytest.mark.testbed

REQUESTS = 23
FEW = 5
SPANS_PER_REQUEST = 15  # test_mesh.py says which
CLOCK_TOLERANCE_NS = 100_000
"""The wall clock may be slewed by 500 ppm in the 200 ms between a stamp and the reading of its epoch offset."""

Send = Callable[[], None]


@dataclass(frozen=True)
class Story:
    """A run that was stopped in order: what was sent, what arrived, what each part counted, what an observer saw."""

    sent: list[bytes]
    arrived: list[bytes]
    probes: dict[str, dict[str, int]]
    plugin: dict[str, int]
    sightings: list[Sighting]
    spans: list[Received]

    @property
    def network(self) -> list[Received]:
        return [span for span in self.spans if span.is_network]

    @property
    def parents(self) -> list[Received]:
        return list(find_parents(self.spans).values())

    def check_chains(self, requests: int, cart: Sequence[Hop], catalog: Sequence[Hop]) -> None:
        """Check that each CLIENT span between pods has exactly these hops, and that there are no others."""
        assert Counter(parent.span.name for parent in self.parents) == dict.fromkeys(PARENTS, requests)
        for parent in self.parents:
            chain = cart if PARENTS[parent.span.name] == CART_SERVICE else catalog
            check_hops(list_children(self.network, parent), chain, parent)
        assert len(self.network) == requests * (len(cart) + len(catalog))


@dataclass(frozen=True)
class Bench:
    """Applications and sidecars that run, and the tap that their spans pass; plugins and probes come and go."""

    tap: OtlpPeer
    work_dir: Path
    nodes: Sequence[Node] = NODES
    pod: bool = True

    def run(self, send: Send, spans: int, network_spans: int) -> Story:
        """Start all, send, and stop all in order once so many application and network spans have arrived."""
        before = len(self.tap.groups)
        with (
            OtlpPeer() as sink,
            open_observer(NODE_1.namespace, FRONTEND.host_veth) as packets,
            start_plugin(self.work_dir, sink.endpoint, settle="500ms") as plugin,
            running_probes(self.work_dir, *self.nodes, pod=self.pod) as probes,
        ):
            send()
            sink.wait_for(lambda got: len(got) >= spans + network_spans)
            return Story(
                probes={name: leave_out_exports(stop_and_count(probe)) for name, probe in probes.items()},
                plugin=stop_and_count(plugin),
                sent=self.tap.groups[before:],
                arrived=sink.groups,
                sightings=list_sightings(packets, FRONTEND),
                spans=sink.spans,
            )


@pytest.fixture(scope="module")
def bench(two_nodes_vxlan: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Hold the mesh behind its tap."""
    del two_nodes_vxlan
    require_bcc()
    work_dir = tmp_path_factory.mktemp("end-to-end")
    with (
        OtlpPeer(f"{MANAGEMENT_GATEWAY}:0", forward_to=PLUGIN_ENDPOINT) as tap,
        started_mesh(work_dir, tap.endpoint),
    ):
        yield Bench(tap, work_dir)


@pytest.fixture(scope="module")
def story(bench: Bench) -> Story:
    """Send a prime number of requests, and amid them what was made by hand."""

    def send() -> None:
        with ThreadPoolExecutor(1) as others:
            by_hand = [others.submit(send_request, bench.tap.endpoint, request) for request in HAND_MADE]
            send_checkouts(REQUESTS)
        assert [sending.result() for sending in by_hand] == [b""] * len(HAND_MADE)

    return bench.run(send, REQUESTS * SPANS_PER_REQUEST + HAND_MADE_SPANS, REQUESTS * 20)


def send_checkouts(count: int, context: str | None = None) -> None:
    """Send requests; all must be answered with 200."""
    answers = send_requests(count, headers={"traceparent": context} if context else None)
    assert [answer.status for answer in answers] == [200] * count


def test_probes_count_every_transit(story: Story) -> None:
    """Each node has a transit for each message that met it, none was swept, repeated, retried or lost."""
    assert story.probes == {
        # Two exchanges a request; the third response is frontend's own, to the client outside.
        "node-1": count_transits(4 * REQUESTS, response_no_exchange=REQUESTS),
        "node-2": count_transits(2 * REQUESTS),
    }


def test_plugin_joins_every_transit(story: Story) -> None:
    """The plugin joins all that the probes sent, drops nothing, and delivers each span once."""
    application = REQUESTS * SPANS_PER_REQUEST + HAND_MADE_SPANS
    assert story.plugin == {
        "receiver_requests{otlp_grpc,OK}": story.plugin["receiver_requests{otlp_grpc,OK}"],
        "receiver_accepted_spans": application,
        "received_transits": 6 * REQUESTS,
        "joined_transits": 6 * REQUESTS,
        "attempts{request,node-1,first}": 2 * REQUESTS,
        "attempts{response,node-1,first}": REQUESTS,
        "attempts{response,node-2,first}": REQUESTS,
        "network_spans{veth-hop}": 8 * REQUESTS,
        "network_spans{host-forward}": 6 * REQUESTS,
        "network_spans{vxlan-encap}": 2 * REQUESTS,
        "network_spans{underlay}": 2 * REQUESTS,
        "network_spans{vxlan-decap}": 2 * REQUESTS,
        "exporter_sent_spans{otlp,application}": application,
        "exporter_sent_spans{otlp,network}": 20 * REQUESTS,
    }


def test_every_client_span_has_its_hops(story: Story) -> None:
    """Over the wire 14 hops, on one node 6, in order, with the parent's resource byte for byte; and no others."""
    story.check_chains(REQUESTS, CART_HOPS, CATALOG_HOPS)


def test_hops_fit_into_what_the_client_waited(story: Story) -> None:
    """Hops lie inside their parent, none before the last has ended, and what remains of it is not negative."""
    for parent in story.parents:
        check_times(list_children(story.network, parent), parent)


def test_span_ids_are_unique(story: Story) -> None:
    """No two spans of the backend, of whatever origin, have the same id."""
    ids = Counter((received.span.trace_id, received.span.span_id) for received in story.spans)
    assert len(ids) == len(story.spans)
    assert len({span_id for _, span_id in ids}) == len(ids)


def test_observer_saw_the_same_packets(story: Story) -> None:
    """A packet socket on frontend's host veth saw as many messages, each while its hop there went on."""
    hops = sorted(
        (received.ends[0], received)
        for received in story.network
        if received.span.name == "veth-hop" and is_at_frontend(received)
    )
    assert len(story.sightings) == len(hops) == story.probes["node-1"]["transits_started"]
    for sighting, (start_ns, hop) in zip(story.sightings, hops, strict=True):
        direction = hop.attributes["hopspan.direction"]
        port = hop.attributes["source.port" if direction == "request" else "destination.port"]
        assert (sighting.direction, sighting.client_port) == (direction, port)
        assert start_ns - CLOCK_TOLERANCE_NS <= sighting.epoch_ns
        assert sighting.epoch_ns <= start_ns + read_duration_ns(hop) + CLOCK_TOLERANCE_NS


def is_at_frontend(hop: Received) -> bool:
    """Tell whether a hop led through frontend's veth pair: requests begin there, responses end there."""
    outgoing = hop.attributes["hopspan.from"] == "pod-egress"
    return outgoing == (hop.attributes["hopspan.direction"] == "request")


def test_application_spans_arrive_byte_for_byte(story: Story) -> None:
    """Each ResourceSpans of applications, sidecars and hands arrives once, with every byte that it was sent with."""
    arrived = [group for group in story.arrived if not any(span.is_network for span in read_group(group))]
    assert Counter(arrived) == Counter(story.sent)
    assert sum(1 for group in story.sent for _ in read_group(group)) == story.plugin["receiver_accepted_spans"]


def test_unsampled_requests_leave_nothing(bench: Bench) -> None:
    """Of requests that came unsampled there is no transit and no span, but a count; sampled ones keep their trace."""
    trace_id = os.urandom(16)

    def send() -> None:
        send_checkouts(REQUESTS, f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-00")
        send_checkouts(FEW, f"00-{trace_id.hex()}-{os.urandom(8).hex()}-01")

    story = bench.run(send, FEW * SPANS_PER_REQUEST, FEW * 20)
    # Their responses, and frontend's own, find no exchange.
    assert story.probes == {
        "node-1": count_transits(
            4 * FEW, request_unsampled=2 * REQUESTS, response_no_exchange=2 * REQUESTS + REQUESTS + FEW
        ),
        "node-2": count_transits(2 * FEW, request_unsampled=REQUESTS, response_no_exchange=REQUESTS),
    }
    assert {received.span.trace_id for received in story.spans} == {trace_id}
    assert len(story.spans) == FEW * (SPANS_PER_REQUEST + 20)


def test_without_pod_points_hops_end_at_the_host_veths(bench: Bench) -> None:
    """With `points: {pod: false}` the hops are the same but those through the pods' own devices."""
    cart, catalog = ([hop for hop in hops if hop.name != "veth-hop"] for hops in (CART_HOPS, CATALOG_HOPS))
    story = replace(bench, pod=False).run(lambda: send_checkouts(FEW), FEW * SPANS_PER_REQUEST, FEW * 12)
    story.check_chains(FEW, cart, catalog)
    for parent in story.parents:
        check_times(list_children(story.network, parent), parent)


def test_one_node_alone_shows_its_hops(bench: Bench) -> None:
    """Where node-2 has no probe the hops of node-1 are shown, no others, and every application span arrives."""
    cart = [hop for hop in CART_HOPS if not hop.is_far]
    story = replace(bench, nodes=[NODE_1]).run(lambda: send_checkouts(FEW), FEW * SPANS_PER_REQUEST, FEW * 12)
    story.check_chains(FEW, cart, CATALOG_HOPS)
    assert len(story.spans) - len(story.network) == FEW * SPANS_PER_REQUEST
    assert story.plugin["joined_transits"] == story.probes["node-1"]["transits_sent"] == 4 * FEW
