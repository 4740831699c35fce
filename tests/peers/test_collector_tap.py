"""otel-config/collector-tap.yaml: a real Collector sends the plugin a copy, and network spans alone come back."""

import itertools
import signal
from collections import Counter

import pytest

from testbed.deadline import wait_until
from tests.peers.backend import ARRIVAL_TIMEOUT_S, Backend, send
from tests.peers.calls import APPLICATION_SPANS, HOPS, Call, check_hops, make_spans, make_transits
from tests.peers.peers import Peers
from tests.peers.ways import Way, make_way

pytestmark = pytest.mark.peers

CALLS = 23
START_NS = 1_700_000_000 * 10**9


@pytest.fixture
def way(peers: Peers) -> Way:
    """Nothing is started yet."""
    return make_way(peers, "collector-tap.yaml", "plugin-tap.yaml")


def test_spans_come_once_and_hops_beside(way: Way, backend: Backend) -> None:
    """The copy does not come back; what comes is each application's span once, and every call's hops."""
    way.start_plugin()
    way.start_collector(backend.endpoint)
    calls = [Call(number, start_ns=START_NS) for number in range(CALLS)]
    send(way.plugin, *make_transits(calls))
    send(way.otlp, make_spans(calls))
    spans = backend.wait_for_names(pair for call in calls for pair in call.list_all_spans())
    assert len(spans) == CALLS * (len(APPLICATION_SPANS) + len(HOPS))
    for call in calls:
        check_hops(spans, call)


def test_plugin_that_dies_costs_no_span_of_an_application(way: Way, backend: Backend) -> None:
    """Applications hear of success all the time, each of their spans comes once, and hops come again with it."""
    plugin = way.start_plugin()
    way.start_collector(backend.endpoint)
    calls = [Call(number, start_ns=START_NS) for number in range(CALLS)]
    before, after = calls[:11], calls[11:]
    send(way.plugin, *make_transits(before))
    send(way.otlp, make_spans(before))
    backend.wait_for_names(pair for call in before for pair in call.list_all_spans())
    plugin.send_signal(signal.SIGKILL)
    send(way.otlp, *(make_spans([call]) for call in after))
    backend.wait_for_names(pair for call in after for pair in call.list_application_spans())
    way.start_plugin()
    last = Call(CALLS, start_ns=START_NS)
    send(way.plugin, *make_transits([last]))
    send(way.otlp, make_spans([last]))
    spans = backend.wait_for_names(last.list_all_spans())
    check_hops(spans, last)
    assert set(Counter(span.span_id for span in spans).values()) == {1}


def test_copies_that_find_no_room_are_told_to_no_application(way: Way, backend: Backend) -> None:
    """While the plugin is away and the copies' queue is full, each request is answered with success and delivered."""
    collector = way.start_collector(backend.endpoint, COPY_QUEUE_SIZE=1)
    numbers = itertools.count()
    calls: list[Call] = []

    def is_full() -> bool:
        calls.append(Call(next(numbers), start_ns=START_NS))
        send(way.otlp, make_spans(calls[-1:]))
        return "sending queue is full" in collector.read_log()

    wait_until(is_full, "the queue of copies is not full", ARRIVAL_TIMEOUT_S)
    spans = backend.wait_for_names(pair for call in calls for pair in call.list_application_spans())
    assert set(Counter(span.span_id for span in spans).values()) == {1}
