"""Hops of a mesh with mutual TLS, against what both sidecars logged: real Envoys, probes and plugin, no header."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from testbed.client import send_requests
from testbed.mesh import started_mesh
from testbed.mutual_tls import make_mutual_tls
from testbed.topology import CART_SERVICE, MANAGEMENT_GATEWAY, PLUGIN_ENDPOINT
from tests.requirements import require_bcc
from tests.testbed.hop_rules import (
    CART_HOPS,
    CATALOG_HOPS,
    PARENTS,
    check_hops,
    check_times,
    find_parents,
    list_children,
)
from tests.testbed.otlp_peer import OtlpPeer, Received
from tests.testbed.programs_under_test import running_probes, start_plugin, stop_and_count
from tests.testbed.sidecar_truth import Truth, read_truths

pytestmark = [pytest.mark.testbed, pytest.mark.timeout(300)]

REQUESTS = 101
CALLS = 2 * REQUESTS
"""Between sidecars: each request asks cart and catalog."""

LEAST_COVERAGE = {False: 0.95, True: 0.9}
"""Over HTTP/1.1 all but the first request of each connection (200 of 202, measured), and over HTTP/2 (199 of 202)."""

CLOCK_TOLERANCE_NS = 100_000
"""The wall clock may be slewed by 500 ppm in the 200 ms between a stamp and the reading of its epoch offset."""


@dataclass(frozen=True)
class Story:
    """A run that was stopped in order: what came out, what sidecars logged, and what each part counted."""

    coverage: float
    """How many of the calls must have hops."""
    spans: list[Received]
    truths: list[Truth]
    probes: dict[str, dict[str, int]]
    plugin: dict[str, int]

    def list_hops(self, parent: Received, direction: str) -> list[Received]:
        """Return the hops of a CLIENT span in one direction, in order of time."""
        children = list_children(self.spans, parent)
        return [hop for hop in children if hop.attributes["hopspan.direction"] == direction]


@pytest.fixture(scope="module", params=[False, True], ids=["http1", "http2"])
def story(
    request: pytest.FixtureRequest, two_nodes_vxlan: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    """Send requests one after the other through the whole of it, contexts of headers switched off."""
    del two_nodes_vxlan
    require_bcc()
    work_dir = tmp_path_factory.mktemp("encrypted")
    tls = make_mutual_tls(work_dir / "tls")
    with (
        OtlpPeer(f"{MANAGEMENT_GATEWAY}:0") as sink,
        start_plugin(work_dir, sink.endpoint, settle="3s", flows={"enabled": True}) as plugin,
        running_probes(work_dir, contexts=("flow",)) as probes,
        started_mesh(work_dir, PLUGIN_ENDPOINT, tls, http2=request.param),
    ):
        answers = send_requests(REQUESTS)
        assert [answer.status for answer in answers] == [200] * REQUESTS
        coverage = LEAST_COVERAGE[request.param]
        sink.wait_for(lambda got: count_covered(got) >= coverage * CALLS)
        yield Story(
            coverage=coverage,
            truths=read_truths(tls, CALLS),
            probes={name: stop_and_count(probe) for name, probe in probes.items()},
            plugin=stop_and_count(plugin),
            spans=sink.spans,
        )


def count_covered(spans: Sequence[Received]) -> int:
    """Return how many CLIENT spans have all their hops."""
    children = Counter(span.span.parent_span_id for span in spans if span.is_network)
    wanted = {CART_SERVICE.name: len(CART_HOPS)}
    return sum(
        children[span_id] == wanted.get(PARENTS[parent.span.name].name, len(CATALOG_HOPS))
        for span_id, parent in find_parents(spans).items()
    )


def read_end(hop: Received, end: str) -> str:
    """Return `address:port` of the hop's `source` or `destination`."""
    address, port = hop.attributes[f"{end}.address"], hop.attributes[f"{end}.port"]
    assert isinstance(address, str)
    assert isinstance(port, int)
    return f"{address}:{port}"


def test_requests_have_their_hops(story: Story) -> None:
    """All that a header would have given, with the same attributes; a span that has not all has none on the wire."""
    parents = find_parents(story.spans).values()
    assert len(parents) == CALLS
    whole = 0
    for parent in parents:
        expected = CART_HOPS if PARENTS[parent.span.name] == CART_SERVICE else CATALOG_HOPS
        hops = list_children(story.spans, parent)
        if len(hops) == len(expected):
            check_hops(hops, expected, parent)
            check_times(hops, parent)
            whole += 1
    assert whole >= story.coverage * CALLS


def test_no_hop_is_wrong(story: Story) -> None:
    """Each lies on its own connection, behind the request before it and before the one that follows."""
    parents = find_parents(story.spans)
    by_connection: dict[str, list[Truth]] = defaultdict(list)
    for truth in sorted(story.truths, key=lambda truth: truth.begun_ns):
        by_connection[truth.client].append(truth)
    checked = 0
    for truths in by_connection.values():
        before = [0, *(truth.answered_ns for truth in truths)]
        behind = [*(truth.begun_ns for truth in truths[1:]), 1 << 63]
        for truth, begins_ns, ends_ns in zip(truths, before, behind, strict=False):
            request = story.list_hops(parents[truth.span_id], "request")
            response = story.list_hops(parents[truth.span_id], "response")
            for hop in request:
                assert read_end(hop, "source") == truth.client
                assert (
                    begins_ns - CLOCK_TOLERANCE_NS <= hop.ends[0] < hop.ends[1] <= truth.begun_ns + CLOCK_TOLERANCE_NS
                )
            for hop in response:
                assert read_end(hop, "destination") == truth.client
                assert truth.answered_ns - CLOCK_TOLERANCE_NS <= hop.ends[0]
                assert hop.ends[0] < hop.ends[1] <= ends_ns + CLOCK_TOLERANCE_NS
            checked += bool(request) + bool(response)
    assert checked >= 2 * story.coverage * CALLS


def test_plugin_says_what_it_claimed(story: Story) -> None:
    """A claim for each call between sidecars; what the sidecars ask of their own application stays inside the pod."""
    assert story.plugin["claims{interval}"] == CALLS
    assert story.plugin["claims_dropped{loopback}"] == 3 * REQUESTS
    assert story.plugin["claims_answered"] >= story.coverage * (2 * 2 * REQUESTS + 2 * REQUESTS)
    assert "claims_dropped{queue_full}" not in story.plugin
