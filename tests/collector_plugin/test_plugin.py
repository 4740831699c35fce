"""The whole plugin in this process, between real sockets: a client, a probe, and a peer that can fail."""

import io
import queue
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import grpc
import msgspec
import pytest

from collector_plugin.config import (
    FileExporter,
    GrpcProtocol,
    OtlpProtocols,
    OtlpReceiver,
    PluginMetrics,
    PluginTelemetry,
    Receivers,
)
from collector_plugin.otlp_json import decode_request
from collector_plugin.plugin import Plugin
from hopspan.errors import HopspanError
from hopspan.logs import Log
from hopspan.settings import OtlpExporter, TlsClient
from hopspan.values import Endpoint
from tests.collector_plugin.builders import (
    NODE_1,
    SPAN_ID,
    TRACE_ID,
    list_spans,
    make_decoded_batch,
    make_transit,
    read_attributes,
)
from tests.collector_plugin.gated_exporter import wait_until
from tests.collector_plugin.plugin_bench import FAR, NEAR, SPANS, Bench, make_config
from tests.hopspan.grpc_peer import DEADLINE_S, GrpcPeer, refuse, stall
from tests.node_probe.batch_reference import encode_batch


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A plugin that is stopped at the end."""
    bench = Bench()
    yield bench
    bench.plugin.stop()
    bench.close()


def test_network_spans_come_behind_the_application_spans(bench: Bench) -> None:
    """The client's spans arrive byte for byte when it is answered; the hops follow in a request of their own."""
    assert bench.send(NEAR) == b""
    assert bench.send(SPANS) == b""
    assert bench.peer.take() == SPANS
    assert bench.send(FAR) == b""
    spans = list_spans([bench.peer.take()])
    assert [(span.name, read_attributes(span)["hopspan.duration_ns"]) for span in spans] == [
        ("host-forward", 10_000),
        ("vxlan-encap", 10_000),
        ("underlay", 100_000),
        ("vxlan-decap", 10_000),
        ("host-forward", 10_000),
    ]
    assert {(span.trace_id, span.parent_span_id) for span in spans} == {(TRACE_ID, SPAN_ID)}


def test_mixed_request_is_parted(bench: Bench) -> None:
    """Behind a Collector spans and transits may come together; only the spans go on at once."""
    assert bench.send(NEAR + SPANS + FAR) == b""
    assert bench.peer.take() == SPANS
    assert len(list_spans([bench.peer.take()])) == 5


def test_peer_that_is_away_is_told_and_spans_come_when_it_is_back(bench: Bench) -> None:
    """The client hears UNAVAILABLE and keeps its spans; nothing is acknowledged that was not delivered."""
    bench.peer.close()
    assert bench.send_and_fail(SPANS).code() is grpc.StatusCode.UNAVAILABLE
    back = GrpcPeer(bench.peer.port)
    answers: queue.Queue[bytes] = queue.Queue()

    def send_until_answered() -> bool:
        try:
            answers.put(bench.send(SPANS))
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE  # noqa: PT017 - every failure on the way is this one
            return False
        return True

    wait_until(send_until_answered)
    assert back.take() == SPANS
    bench.peer = back


def test_peer_that_stalls_is_told_as_unavailable(bench: Bench) -> None:
    """An export that takes too long ends, and its client may come again."""
    release = threading.Event()
    bench.peer.behave = stall(release)
    error = bench.send_and_fail(SPANS)
    release.set()
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "DEADLINE_EXCEEDED" in (error.details() or "")


def test_peer_that_refuses_is_told_with_its_code(bench: Bench) -> None:
    """What will never be taken is told so, once."""
    bench.peer.behave = refuse(grpc.StatusCode.PERMISSION_DENIED, "not you")
    error = bench.send_and_fail(SPANS)
    assert (error.code(), error.details()) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED: not you")
    assert bench.peer.seen.qsize() == 1


def test_network_spans_outlast_a_peer_that_is_away(bench: Bench) -> None:
    """They wait in their queue and are sent again; application spans do not wait for them."""
    bench.send(SPANS)
    bench.peer.take()
    bench.peer.behave = refuse(grpc.StatusCode.UNAVAILABLE)
    bench.send(NEAR)
    bench.send(FAR)
    bench.peer.seen.get(timeout=DEADLINE_S)
    wait_until(lambda: not bench.peer.seen.empty())
    bench.peer.behave = lambda _request, _context: b""
    assert len(list_spans([bench.peer.take()])) == 5


def test_metrics_tell_of_all_that_happened(bench: Bench) -> None:
    """A scrape sees spans, transits, hops, reasons and queues."""
    for data in (NEAR, NEAR, SPANS, FAR):
        bench.send(data)
    bench.peer.take()
    bench.peer.take()
    bench.send_and_fail(b"\xff")

    def read_page() -> str:
        with urllib.request.urlopen(f"http://localhost:{bench.plugin.metrics_port}/metrics", timeout=60) as response:
            page: bytes = response.read()
            return page.decode()

    wire = 'direction="request",from_node="node-1",hop="underlay"'
    for line in (
        'hopspan_plugin_receiver_requests_total{receiver="otlp_grpc",status="OK"} 4.0',
        'hopspan_plugin_receiver_requests_total{receiver="otlp_grpc",status="INVALID_ARGUMENT"} 1.0',
        "hopspan_plugin_receiver_accepted_spans_total 2.0",
        "hopspan_plugin_received_transits_total 3.0",
        "hopspan_plugin_joined_transits_total 2.0",
        'hopspan_plugin_released_transits_total{reason="duplicate"} 1.0',
        'hopspan_plugin_network_spans_total{hop="underlay"} 1.0',
        'hopspan_plugin_dropped_hops_total{reason="clock"} 0.0',
        'hopspan_plugin_attempts_total{attempt="again",direction="request",node="node-1"} 0.0',
        "hopspan_plugin_parents 2.0",
        "hopspan_plugin_waiting_transits 0.0",
        "hopspan_plugin_waiting_bytes 0.0",
        f'hopspan_plugin_hop_duration_seconds_count{{{wire},service="frontend",to_node="node-2"}} 1.0',
        'hopspan_plugin_exporter_sent_spans_total{exporter="otlp",spans="application"} 2.0',
        'hopspan_plugin_exporter_sent_spans_total{exporter="otlp",spans="network"} 5.0',
        'hopspan_plugin_exporter_send_failed_spans_total{exporter="otlp",reason="queue_full",spans="network"} 0.0',
        'hopspan_plugin_exporter_queue_bytes{exporter="otlp",spans="network"} 0.0',
    ):
        wait_until(lambda line=line: f"\n{line}\n" in read_page())  # type: ignore[misc]  # bound at once


def test_hop_durations_have_trace_ids_as_exemplars(bench: Bench) -> None:
    """A scraper that asks for OpenMetrics is led from a bucket to a trace."""
    for data in (NEAR, SPANS, FAR):
        bench.send(data)
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    url = f"http://localhost:{bench.plugin.metrics_port}/metrics"
    with urllib.request.urlopen(urllib.request.Request(url, headers=accept), timeout=60) as response:
        lines = response.read().decode().splitlines()
    name = "hopspan_plugin_hop_duration_seconds_bucket"
    (line,) = [line for line in lines if line.startswith(name) and 'hop="underlay"' in line and "#" in line]
    assert 'le="0.0001",service="frontend",to_node="node-2"} 1.0' in line
    assert f'# {{trace_id="{TRACE_ID.hex()}"}} 0.0001 ' in line


def test_second_exporter_gets_copies_of_all(tmp_path: Path) -> None:
    """A file beside the peer has the same requests, as OTLP JSON."""
    path = tmp_path / "spans.jsonl"
    bench = Bench(**{"file/copy": FileExporter(path=str(path))})
    for data in (SPANS, NEAR, FAR):
        bench.send(data)
    sent = [bench.peer.take(), bench.peer.take()]
    bench.plugin.stop()
    copies = [decode_request(line) for line in path.read_bytes().splitlines()]
    assert [list_spans([copy]) for copy in copies] == [list_spans([request]) for request in sent]
    bench.close()


def test_end_delivers_what_waits_and_tells_all_counts() -> None:
    """A near half that waits for its far one is emitted at the end; what has no parent is counted."""
    bench = Bench()
    orphan = make_decoded_batch(NODE_1, make_transit({2: 0, 7: 5}, parent_id=b"\x09" * 8))
    for data in (SPANS, NEAR, encode_batch(orphan, "1")):
        bench.send(data)
    bench.plugin.stop()
    assert bench.peer.take() == SPANS
    assert [span.name for span in list_spans([bench.peer.take()])] == ["host-forward", "vxlan-encap"]
    ready, stopped = bench.read_log()
    assert (ready["message"], ready["otlp_grpc_port"]) == ("ready", bench.plugin.endpoints["otlp_grpc"].port)
    del stopped["time"]
    assert stopped == {
        "level": "info",
        "message": "stopped",
        "receiver_requests{otlp_grpc,OK}": 3,
        "receiver_accepted_spans": 2,
        "received_transits": 2,
        "joined_transits": 1,
        "attempts{request,node-1,first}": 1,
        "released_transits{shutdown}": 1,
        "network_spans{host-forward}": 1,
        "network_spans{vxlan-encap}": 1,
        "exporter_sent_spans{otlp,application}": 2,
        "exporter_sent_spans{otlp,network}": 2,
    }
    assert bench.send_and_fail(SPANS).code() is grpc.StatusCode.UNAVAILABLE
    bench.close()


@pytest.mark.parametrize("key", ["metrics", "grpc", "file", "tls"])
def test_start_that_fails_names_what_is_at_fault(bench: Bench, tmp_path: Path, key: str) -> None:
    """A taken port or an unusable file is told by its key, and nothing stays open."""
    config = make_config(bench.peer)
    taken = Endpoint("localhost", bench.plugin.metrics_port)
    absent = str(tmp_path / "absent" / "x")
    replace = msgspec.structs.replace
    changed, text = {
        "metrics": (
            replace(config, telemetry=PluginTelemetry(metrics=PluginMetrics(endpoint=taken))),
            "telemetry.metrics.endpoint: cannot listen on",
        ),
        "grpc": (
            replace(
                config,
                receivers=Receivers(otlp=OtlpReceiver(protocols=OtlpProtocols(grpc=GrpcProtocol(endpoint=taken)))),
            ),
            "receivers.otlp.protocols.grpc.endpoint: cannot listen on",
        ),
        "file": (
            replace(config, exporters={**config.exporters, "file": FileExporter(path=absent)}),
            f"exporters.file: {absent} cannot be written",
        ),
        "tls": (
            replace(config, exporters={"otlp": OtlpExporter(endpoint=taken, tls=TlsClient(ca_file=absent))}),
            f"exporters.otlp: ca_file: {absent} cannot be read",
        ),
    }[key]
    with pytest.raises(HopspanError, match=text):
        Plugin(changed, Log(stream=io.StringIO()))
