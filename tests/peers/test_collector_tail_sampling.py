"""otel-config/collector-tail-sampling.yaml: a trace is kept with its network spans, or dropped with them."""

from dataclasses import replace

import pytest

from tests.collector_plugin.builders import MS
from tests.peers.backend import Backend, send
from tests.peers.calls import APPLICATION_SPANS, HOPS, Call, check_hops, make_spans, make_transits
from tests.peers.peers import Peers
from tests.peers.ways import make_way

pytestmark = pytest.mark.peers

START_NS = 1_700_000_000 * 10**9
SLOW, FAILED, USUAL = (
    [Call(number, start_ns=START_NS, duration_ns=700 * MS) for number in range(23)],
    [Call(number, start_ns=START_NS, failed=True) for number in range(100, 123)],
    [Call(number, start_ns=START_NS) for number in range(200, 223)],
)


@pytest.mark.parametrize("transits_first", [True, False], ids=["transits-first", "transits-last"])
def test_trace_is_kept_whole_or_not_at_all(peers: Peers, backend: Backend, *, transits_first: bool) -> None:
    """Of slow and failed traces every span comes, the network's too; of the others none."""
    way = make_way(peers, "collector-tail-sampling.yaml")
    way.start_plugin()
    way.start_collector(backend.endpoint)
    # Slow and failed calls lie between the usual ones, as they do.
    calls = [call for three in zip(USUAL, SLOW, FAILED, strict=True) for call in three]
    transits = make_transits(calls)
    for data in [*transits, make_spans(calls)] if transits_first else [make_spans(calls), *transits]:
        send(way.plugin if data in transits else way.otlp, data)
    kept = [*SLOW, *FAILED]
    # All spans of a kind are decided upon in one go, the usual ones first.
    spans = backend.wait_for_names(pair for call in kept for pair in call.list_all_spans())
    for call in kept:
        check_hops(spans, call)
    assert len(spans) == len(kept) * (len(APPLICATION_SPANS) + len(HOPS))


def test_hops_that_come_after_the_decision_follow_it(peers: Peers, backend: Backend) -> None:
    """A probe that was away sends late: hops of a kept trace still come, those of a dropped one do not."""
    way = make_way(peers, "collector-tail-sampling.yaml")
    way.start_plugin()
    way.start_collector(backend.endpoint, DECISION_WAIT="1s")
    dropped, kept = Call(1, start_ns=START_NS), Call(2, start_ns=START_NS, failed=True)
    send(way.otlp, make_spans([dropped]), make_spans([kept]))
    backend.wait_for_names(kept.list_application_spans())
    send(way.plugin, *make_transits([dropped, kept]))
    # The hops of this one pass behind those of the dropped one, decided upon when they were.
    last = replace(kept, number=3)
    send(way.otlp, make_spans([last]))
    send(way.plugin, *make_transits([last]))
    spans = backend.wait_for_names([*kept.list_all_spans(), *last.list_all_spans()])
    check_hops(spans, kept)
    assert {span.trace_id for span in spans} == {kept.trace_id, last.trace_id}
