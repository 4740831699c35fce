"""The mesh with mutual TLS: no context can be read on the wire, spans name connections, both sidecars log them."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from testbed.client import send_requests
from testbed.mesh import started_mesh
from testbed.mutual_tls import MutualTls, make_mutual_tls
from testbed.network import two_nodes_vxlan
from testbed.observer import open_observer, read_frames
from testbed.recorder import RecordedSpan, Recorder
from testbed.topology import CART, FRONTEND, NODE_1, NODE_2, PLUGIN_ENDPOINT, UNDERLAY_DEVICE
from tests.testbed.hop_rules import PARENTS
from tests.testbed.sidecar_truth import read_truths

pytestmark = pytest.mark.testbed

REQUESTS = 23
CALLS = 2 * REQUESTS
"""Between sidecars: each request asks cart and catalog."""

TIMEOUT_S = 30.0
APPLICATION_DATA = re.compile(rb"\x17\x03[\x00-\x03]")


def list_clients(spans: list[RecordedSpan]) -> dict[bytes, RecordedSpan]:
    """Return the CLIENT spans of frontend's sidecar that lead to other pods."""
    return {span.span_id: span for span in spans if span.kind == "CLIENT" and span.name in PARENTS}


@pytest.fixture(params=[False, True], ids=["http1", "http2"])
def encrypted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Mapping[str, MutualTls], Recorder]]:
    """A mesh with mutual TLS, whose spans are recorded."""
    tls = make_mutual_tls(tmp_path / "tls")
    with two_nodes_vxlan(), Recorder() as recorder, started_mesh(tmp_path, PLUGIN_ENDPOINT, tls, http2=request.param):
        yield tls, recorder


def test_spans_name_the_connection_that_both_sidecars_saw(
    encrypted: tuple[Mapping[str, MutualTls], Recorder],
) -> None:
    """And on the wire there is application data of TLS, and no context."""
    tls, recorder = encrypted
    with open_observer(NODE_1.namespace, UNDERLAY_DEVICE) as wire:
        answers = send_requests(REQUESTS)
        frames = [frame for frame, _ in read_frames(wire)]
    assert [answer.status for answer in answers] == [200] * REQUESTS
    assert not any(b"traceparent" in frame or b"/cart" in frame for frame in frames)
    assert any(APPLICATION_DATA.search(frame) for frame in frames)
    recorder.wait_for(lambda spans: len(list_clients(list(spans))) >= CALLS, TIMEOUT_S)
    clients = list_clients(recorder.spans)
    truths = read_truths(tls, CALLS)
    assert {truth.span_id for truth in truths} == set(clients)
    for truth in truths:
        span = clients[truth.span_id]
        assert span.attributes["hopspan.local"] == truth.local == truth.client
        assert span.start_ns <= truth.begun_ns <= truth.answered_ns <= truth.ended_ns
    assert {truth.client.rpartition(":")[0] for truth in truths} == {str(FRONTEND.address)}
    assert CART.node == NODE_2
