"""docs/hops.md says which hop grows by what: each case is made on purpose, and only that hop may show it."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from statistics import median

import pytest

from testbed.client import send_requests
from testbed.faults import filled_queue, many_rules
from testbed.mesh import Mesh
from testbed.recorder import RecordedSpan, Recorder
from testbed.topology import (
    CART,
    CART_SERVICE,
    NODE_1,
    NODE_2,
    OVERLAY_DEVICE,
    UNDERLAY_DEVICE,
)
from tests.requirements import require_bcc
from tests.testbed.programs_under_test import running_probes, start_plugin

pytestmark = [pytest.mark.testbed, pytest.mark.bpf]

REQUESTS = 23
HOPS = 20
"""Of a request: 14 to cart, on the other node, and 6 to catalog."""

RULES = 5000
TIMES_LONGER = 3
TO_CART = {str(CART.address), str(CART_SERVICE.cluster_address)}
SINK = "127.0.0.1:24399"

Key = tuple[str, str, str]
"""Name, direction, and node of a hop."""

Medians = dict[Key, float]


@pytest.fixture(scope="module")
def backend() -> Iterator[Recorder]:
    """Keep the spans behind the plugin."""
    with Recorder(SINK) as recorder:
        yield recorder


@pytest.fixture(scope="module")
def measure(
    two_nodes_vxlan_http: Mesh, backend: Recorder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], Medians]]:
    """Return what sends requests and tells the median of each hop between the nodes."""
    require_bcc()
    del two_nodes_vxlan_http
    work_dir = tmp_path_factory.mktemp("slow")
    with start_plugin(work_dir, SINK), running_probes(work_dir):
        yield lambda: measure_hops(backend)


def measure_hops(backend: Recorder) -> Medians:
    """Send requests, and return the median of each hop to cart and back."""
    before = len(backend.spans)
    send_requests(REQUESTS)

    def find_hops(spans: Sequence[RecordedSpan]) -> list[RecordedSpan]:
        return [span for span in spans[before:] if span.scope == "hopspan"]

    spans = backend.wait_for(lambda spans: len(find_hops(spans)) >= REQUESTS * HOPS, 30.0)
    times: defaultdict[Key, list[int]] = defaultdict(list)
    for span in find_hops(spans):
        if TO_CART & {span.attributes["source.address"], span.attributes["destination.address"]}:
            key = (span.name, span.attributes["hopspan.direction"], span.attributes["hopspan.node"])
            times[key].append(int(span.attributes["hopspan.duration_ns"]))
    return {key: median(durations) for key, durations in times.items()}


def make_cases(work_dir: Path) -> dict[str, tuple[AbstractContextManager[None], set[Key]]]:
    """Return each cause with the hops that have to grow."""
    request, response = "request", "response"
    return {
        "a queue at the sender's NIC": (
            filled_queue(NODE_1, UNDERLAY_DEVICE, NODE_2.underlay_address, work_dir),
            {("underlay", request, NODE_1.name)},
        ),
        "a queue at the vxlan device": (
            filled_queue(NODE_1, OVERLAY_DEVICE, CART.address, work_dir),
            {("vxlan-encap", request, NODE_1.name)},
        ),
        "a limit of the receiving pod's bandwidth": (
            filled_queue(NODE_2, CART.host_veth, CART.address, work_dir),
            {("veth-hop", request, NODE_2.name)},
        ),
        "rules of iptables": (
            many_rules(NODE_1, RULES),
            {("host-forward", request, NODE_1.name), ("host-forward", response, NODE_1.name)},
        ),
    }


CAUSES = tuple(make_cases(Path()))


@pytest.mark.parametrize("cause", CAUSES)
def test_cause_shows_in_its_hop_alone(measure: Callable[[], Medians], tmp_path: Path, cause: str) -> None:
    """Its hop takes three times what it took and three times what any other does; the others stay below."""
    quiet = measure()
    context, expected = make_cases(tmp_path)[cause]
    with context:
        slow = measure()
    assert slow.keys() == quiet.keys()
    most_other = max(duration for key, duration in slow.items() if key not in expected)
    for key in expected:
        assert slow[key] > TIMES_LONGER * quiet[key], (key, quiet, slow)
        assert slow[key] > TIMES_LONGER * most_other, (key, quiet, slow)
