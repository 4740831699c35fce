"""What a node-probe does to its node: it leaves others' filters alone, follows pods, and goes without a trace.

Packets are plain HTTP between pods, and a recorder stands where the plugin would, unless a test is about the plugin.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from testbed.deadline import wait_until
from testbed.namespace import call_in
from testbed.process import ManagedProcess
from testbed.topology import FRONTEND, NODE_1, NODES, OVERLAY_DEVICE, PLUGIN_ENDPOINT, UNDERLAY_DEVICE, Node, Pod
from tests.requirements import require_bcc
from tests.testbed import kernel_state
from tests.testbed.node_changes import cutting_segments, late_pod, mirroring
from tests.testbed.otlp_peer import OtlpPeer, send_request
from tests.testbed.plain_http import Exchange, ask, connected, render_parents, serving
from tests.testbed.programs_under_test import (
    count_transits,
    kill,
    read_probe_metrics,
    running_probes,
    start_plugin,
    stop_and_count,
)

pytestmark = [pytest.mark.testbed, pytest.mark.usefixtures("server")]

REQUESTS = 23
TIMEOUT_S = 60.0
PROGRAMS = 13
POINTS = 12
"""Of node-1: two pods with four each, the overlay device and the underlay device with two each."""

LATE = Pod("late", NODE_1, 12)
LATE_POINTS = 4
FOREIGN_DEVICES = (UNDERLAY_DEVICE, OVERLAY_DEVICE, FRONTEND.host_veth)
LONG_HEADERS = b"".join(b"X-Filler-%02d: %s\r\n" % (number, b"x" * 240) for number in range(24))
"""6 KiB: several segments, and less than the 8 KiB that are searched."""


@pytest.fixture(scope="module")
def server(two_nodes_vxlan: None) -> Iterator[None]:
    """Hold a plain server in cart's pod."""
    del two_nodes_vxlan
    require_bcc()
    kernel_state.require_tools()
    with serving():
        yield


@pytest.fixture
def client() -> Iterator[socket.socket]:
    """A connection from frontend's pod to it."""
    with connected(FRONTEND) as connection:
        yield connection


@pytest.fixture
def backend() -> Iterator[OtlpPeer]:
    """Take transits where the plugin would."""
    with OtlpPeer(PLUGIN_ENDPOINT) as peer:
        yield peer


def ask_often(client: socket.socket, headers: bytes = b"") -> list[Exchange]:
    """Send a prime number of requests, one after the other."""
    return [ask(client, headers) for _ in range(REQUESTS)]


def read_foreign() -> list[object]:
    """Return what others have put on the devices, without counters."""
    return [kernel_state.read_tc(NODE_1.namespace, device) for device in FOREIGN_DEVICES]


def count_foreign() -> int:
    """Return what the foreign filter with the fewest packets has counted."""
    return min(min(kernel_state.count_mirrored(NODE_1.namespace, device).values()) for device in FOREIGN_DEVICES)


def read_metric(node: Node, name: str) -> float:
    return read_probe_metrics(node)[f"hopspan_probe_{name}"]


def wait_for_metric(node: Node, name: str, value: int) -> None:
    """Wait until a node's probe shows the value."""
    wait_until(lambda: read_metric(node, name) == value, f"{node.name}: {name} was not {value}", TIMEOUT_S)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("end", [kill, stop_and_count])
def test_probe_leaves_no_trace(
    tmp_path: Path, client: socket.socket, end: Callable[[ManagedProcess], object]
) -> None:
    """However a probe ends, its programs, maps and links end too, and others' filters are as they were all along."""
    with mirroring(NODE_1.namespace, FOREIGN_DEVICES):
        before = read_foreign()
        with running_probes(tmp_path, NODE_1) as probes:
            assert read_foreign() == before
            ask_often(client)
            held = kernel_state.list_held_objects(probes["node-1"].pid)
            assert (len(held.programs), len(held.links)) == (PROGRAMS, POINTS)
            end(probes["node-1"])
            kernel_state.wait_for_release(held)
        assert read_foreign() == before
        assert count_foreign() >= REQUESTS
        ask_often(client)
        assert count_foreign() >= 2 * REQUESTS
        with running_probes(tmp_path, NODE_1) as probes:
            ask_often(client)
            assert stop_and_count(probes["node-1"]) == count_transits(2 * REQUESTS)
        assert read_foreign() == before


@pytest.mark.usefixtures("backend")
def test_late_pod_is_followed(tmp_path: Path) -> None:
    """A pod that comes while the probe runs gets its points, and once deleted is gone at once, points and all."""
    with running_probes(tmp_path, NODE_1) as probes:
        wait_for_metric(NODE_1, "points", POINTS)
        with late_pod(LATE):
            wait_for_metric(NODE_1, "points", POINTS + LATE_POINTS)
            probes["node-1"].wait_for_output(f'"points changed", "points": {POINTS + LATE_POINTS}', TIMEOUT_S)
            with connected(LATE) as client:
                ask_often(client)
        wait_until(lambda: LATE.host_veth not in list_devices(), "the deleted pod's veth stayed", TIMEOUT_S)
        wait_for_metric(NODE_1, "points", POINTS)
        assert len(kernel_state.list_held_objects(probes["node-1"].pid).links) == POINTS
        assert stop_and_count(probes["node-1"]) == count_transits(2 * REQUESTS)


def list_devices() -> set[str]:
    """Return the names of node-1's devices."""
    return call_in(NODE_1.namespace, lambda: {name for _, name in socket.if_nameindex()})


def test_transits_wait_for_a_plugin_that_is_away(tmp_path: Path, client: socket.socket) -> None:
    """While the plugin is dead the probes try again, and once it is back every hop of that time is shown."""
    with OtlpPeer() as sink, running_probes(tmp_path) as probes:
        with start_plugin(tmp_path, sink.endpoint) as plugin:
            ask(client)
            for node in NODES:
                wait_for_metric(node, "transits_sent_total", 2)
            kill(plugin)
        exchanges = ask_often(client)
        for probe in probes.values():
            probe.wait_for_output("could not be sent yet", TIMEOUT_S)
        with start_plugin(tmp_path, sink.endpoint) as plugin:
            send_request(PLUGIN_ENDPOINT, render_parents(exchanges))
            sink.wait_for(lambda got: len(got) >= 15 * REQUESTS)  # a parent and its 14 hops
            counts = [stop_and_count(probe) for probe in probes.values()]
            joined = stop_and_count(plugin)["joined_transits"]
        assert len(sink.spans) == 15 * REQUESTS
    assert all(count.pop("exports_retried") >= 1 for count in counts)
    assert counts == [count_transits(2 * REQUESTS + 2)] * 2
    assert joined == 4 * REQUESTS


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize(
    "cut_at",
    [None, NODE_1.namespace, FRONTEND.namespace],
    ids=["uncut", "cut at the wire", "cut at the pod"],
)
def test_context_behind_long_headers(tmp_path: Path, cut_at: str | None) -> None:
    """A context that is 6 KiB deep is found in a segment that is whole, and over those that it was cut into."""
    with running_probes(tmp_path) as probes:
        # A connection learns when it is made what its device takes.
        with cutting_segments(cut_at) if cut_at else nullcontext(), connected(FRONTEND) as client:
            ask_often(client)  # TCP sends big segments once it has seen that the way is short
            ask_often(client, LONG_HEADERS)
        counts = {name: stop_and_count(probe) for name, probe in probes.items()}
    assert counts == {name: count_transits(4 * REQUESTS) for name in probes}
