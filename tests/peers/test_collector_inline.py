"""otel-config/collector-inline.yaml: everything passes the plugin between two pipelines of a real Collector."""

import signal
import urllib.request
from collections import Counter
from collections.abc import Callable

import grpc
import pytest

from testbed.deadline import wait_until
from tests.collector_plugin.builders import make_attributes, make_request, make_resource_spans, make_span
from tests.peers.backend import ARRIVAL_TIMEOUT_S, Backend, send
from tests.peers.calls import APPLICATION_SPANS, HOPS, Call, check_hops, make_spans, make_transits
from tests.peers.peers import START_TIMEOUT_S, Peers
from tests.peers.ways import PLUGIN_EXPORTER, PLUGIN_RECEIVER, Way, make_way

pytestmark = pytest.mark.peers

CALLS = 23


@pytest.fixture
def way(peers: Peers) -> Way:
    """Nothing is started yet."""
    return make_way(peers, "collector-inline.yaml")


def post(url: str, body: bytes, content_type: str) -> None:
    """Send as an application does over HTTP."""
    request = urllib.request.Request(url, body, {"Content-Type": content_type})  # noqa: S310 - a URL of ours
    with urllib.request.urlopen(request, timeout=ARRIVAL_TIMEOUT_S) as answer:  # noqa: S310
        assert answer.status in {200, 202}


def make_large_request(number: int) -> bytes:
    """Return a trace of a thousand spans, 0.6 MiB."""
    spans = [make_span(number.to_bytes(16, "big"), n.to_bytes(8, "big"), attributes=0) for n in range(1, 1001)]
    for span in spans:
        span.attributes.extend(make_attributes({f"key.{n}": "v" * 48 for n in range(10)}))
    return make_request(make_resource_spans(spans))


@pytest.mark.parametrize(
    "place",
    [lambda way: way.plugin, lambda way: way.otlp],
    ids=["probes-send-to-the-plugin", "probes-send-to-the-collector"],
)
def test_spans_and_hops_come_out(way: Way, backend: Backend, place: Callable[[Way], str]) -> None:
    """Every span comes once, and every call with all its hops; no transit comes out."""
    way.start_plugin()
    way.start_collector(backend.endpoint)
    calls = [Call(number, start_ns=1_700_000_000 * 10**9) for number in range(CALLS)]
    send(place(way), *make_transits(calls))
    send(way.otlp, make_spans(calls))
    spans = backend.wait_for_names(pair for call in calls for pair in call.list_all_spans())
    assert len(spans) == CALLS * (len(APPLICATION_SPANS) + len(HOPS))
    for call in calls:
        check_hops(spans, call)


def test_spans_by_http_and_by_zipkin(way: Way, backend: Backend) -> None:
    """The Collector's other receivers lead to the same plugin: hops come under spans that were Zipkin's."""
    way.start_plugin()
    way.start_collector(backend.endpoint)
    first, second = calls = [Call(number, start_ns=1_700_000_000 * 10**9) for number in range(2)]
    post(f"http://{way.otlp_http}/v1/traces", make_spans([first]), "application/x-protobuf")
    zipkin = (
        f'[{{"traceId":"{second.trace_id.hex()}","id":"{second.client_id.hex()}","kind":"CLIENT","name":"get cart",'
        f'"timestamp":{second.start_ns // 1000},"duration":{second.duration_ns // 1000},'
        '"localEndpoint":{"serviceName":"frontend"}}]'
    )
    post(f"http://{way.zipkin}/api/v2/spans", zipkin.encode(), "application/json")
    send(way.plugin, *make_transits(calls))
    spans = backend.wait_for_names((call.trace_id, name) for call in calls for name in HOPS)
    for call in calls:
        check_hops(spans, call)


def test_burst_arrives_whole(way: Way, backend: Backend) -> None:
    """Twelve MiB of spans at once, thrice what one request may have, come out once each."""
    way.start_plugin()
    way.start_collector(backend.endpoint)
    requests = [make_large_request(number) for number in range(20)]
    assert sum(map(len, requests)) > 12 << 20
    send(way.otlp, *requests)
    spans_received = backend.wait_for(lambda spans: len(spans) >= 20_000, ARRIVAL_TIMEOUT_S)
    assert set(Counter((span.trace_id, span.span_id) for span in spans_received).values()) == {1}
    assert len(spans_received) == 20_000


def test_spans_wait_for_a_plugin_that_is_away(way: Way, backend: Backend) -> None:
    """What applications send meanwhile arrives when it is there, with the hops whose transits come then."""
    way.start_collector(backend.endpoint)
    call = Call(1)
    send(way.otlp, make_spans([call]))
    assert not backend.spans
    way.start_plugin()
    send(way.plugin, *make_transits([call]))
    spans = backend.wait_for_names(call.list_all_spans())
    check_hops(spans, call)


def test_plugin_that_is_killed_costs_no_span_of_an_application(way: Way, backend: Backend) -> None:
    """What it had not delivered the Collector sends to its successor; some may come twice, none is missing."""
    plugin = way.start_plugin()
    way.start_collector(backend.endpoint)
    calls = [Call(number, start_ns=1_700_000_000 * 10**9) for number in range(CALLS)]
    for number, call in enumerate(calls):
        if number == CALLS // 2:
            plugin.send_signal(signal.SIGKILL)
        send(way.otlp, make_spans([call]))
    way.start_plugin()
    send(way.plugin, *make_transits(calls[-1:]))
    backend.wait_for_names(pair for call in calls for pair in call.list_application_spans())
    check_hops(backend.wait_for_names(calls[-1].list_all_spans()), calls[-1])


def test_refusal_for_memory_lets_come_again(way: Way, backend: Backend) -> None:
    """A Collector without memory refuses its client, and a plugin before it passes that on: for now, not for good."""
    way.peers.start_plugin(way.plugin_config, {PLUGIN_RECEIVER: way.plugin, PLUGIN_EXPORTER: way.otlp})
    way.start_collector(backend.endpoint, MEMORY_LIMIT_MIB=1).wait_for_output("Refusing data", START_TIMEOUT_S)
    for place in (way.otlp, way.plugin):
        with pytest.raises(grpc.RpcError) as caught:
            send(place, make_spans([Call(1)]))
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert not backend.spans


def test_full_memory_drains(way: Way, backend: Backend) -> None:
    """Spans that fill the memory while the plugin is away all leave once it is there, though no new ones get in."""
    way.start_collector(backend.endpoint, MEMORY_LIMIT_MIB=64)
    accepted: list[int] = []

    def is_full() -> bool:
        number = len(accepted) + 1
        try:
            send(way.otlp, make_large_request(number))
        except grpc.RpcError as error:
            return "high memory usage" in str(error)
        accepted.append(number)
        return False

    wait_until(is_full, "the Collector took everything", ARRIVAL_TIMEOUT_S)
    way.start_plugin()
    spans = backend.wait_for(lambda spans: len(spans) >= 1000 * len(accepted) > 0, ARRIVAL_TIMEOUT_S)
    assert {int.from_bytes(span.trace_id, "big") for span in spans} == set(accepted)
