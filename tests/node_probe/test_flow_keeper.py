"""What keeps flows, as the agent uses it: records in, claims in, spans out, and each of them counted."""

import io
import json
from types import SimpleNamespace

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans

from hopspan.counters import Counters
from hopspan.flow_claims import Batch, IntervalClaim
from hopspan.logs import Log
from node_probe.counters import ClaimOutcome, Event, KeptEnd, Reason
from node_probe.flow_keeper import FlowKeeper
from node_probe.flow_report import list_flow_counts, read_flow_metrics
from node_probe.kept_flows import KeptFlows
from node_probe.span_writer import SpanWriter
from node_probe.transit import ContextFormat
from node_probe.wire_record import RECORD_KEY, decode_record
from tests.node_probe.bursts import CLIENT, CLIENT_PORT, SERVER, SERVER_PORT, make_burst
from tests.node_probe.epochs import read_epoch

S, MS = 10**9, 10**6
T = 100 * S
EPOCH_NS = 1_700_000_000 * S


class Agent:
    """The part of an agent that flows need."""

    def __init__(self) -> None:
        self.tally = SimpleNamespace(reasons=Counters(Reason), events=Counters(Event))
        self.log = io.StringIO()
        self.flows = FlowKeeper(KeptFlows(), self.tally, Log(stream=self.log), lambda: read_epoch(T, EPOCH_NS, 100))
        self.flows.turn(T - S, T - S, 0)


@pytest.fixture
def agent() -> Agent:
    return Agent()


def test_claimed_message_is_sent_as_a_transit(agent: Agent) -> None:
    """What answers a claim is written like any other record: under the claim's trace and parent, as format flow."""
    request = make_burst(T, seq=9, ack=5, number=4, previous_last_ns=1)
    agent.flows.keep([request, make_burst(T + MS, is_coming=True, seq=5, ack=114, number=4)])
    flow = (CLIENT, CLIENT_PORT, SERVER, SERVER_PORT, EPOCH_NS + T - MS, EPOCH_NS + T + 2 * MS, True)
    agent.flows.claims.add(Batch([IntervalClaim(b"\1" * 16, b"\2" * 8, 1, *flow)], 0))
    records = agent.flows.turn(T + 5 * S, T + 5 * S, 0)
    written = SpanWriter("node-1").write(records, EPOCH_NS)
    assert written.batch is not None
    spans = ScopeSpans.FromString(written.batch.spans).spans
    assert [(span.trace_id, span.parent_span_id, span.flags) for span in spans] == [(b"\1" * 16, b"\2" * 8, 1)] * 2
    data = [next(a.value.bytes_value for a in span.attributes if a.key == RECORD_KEY) for span in spans]
    transits = [decode_record(record, b"\1" * 16, b"\2" * 8, 1) for record in data]
    assert [transit.context.format for transit in transits] == [ContextFormat.FLOW] * 2
    assert [(transit.direction.label, transit.seq) for transit in transits] == [("request", 9), ("response", 5)]
    assert agent.flows.outcomes.read()[ClaimOutcome.ANSWERED] == 1
    assert agent.tally.events.read()[Event.BURSTS_KEPT] == 2


def test_counts(agent: Agent) -> None:
    """Old bursts, bad records and claims on unknown flows are counted, and shown."""
    agent.flows.keep([make_burst(T), b"no record"])
    agent.flows.claims.add(Batch([IntervalClaim(b"\1" * 16, b"\2" * 8, 1, SERVER, 5, SERVER, 6, 7, 8)], 3))
    for at_ns in range(T, T + 70 * S, S):
        assert agent.flows.turn(at_ns, at_ns, 0) == []
    assert agent.tally.reasons.read()[Reason.BAD_RECORD] == 1
    assert "cannot be read" in json.loads(agent.log.getvalue())["message"]
    assert agent.flows.ends.read() == {KeptEnd.EXPIRED: 1, KeptEnd.DISPLACED: 0}
    counts = {name: count for name, count in list_flow_counts(agent.flows).items() if count}
    assert counts == {"claims_unknown_flow": 1, "claims_not_understood": 3, "flow_expired": 1}
    page = {metric.name: metric for metric in read_flow_metrics(agent.flows, SimpleNamespace(wanted=2, connected=1))}
    assert list(page["hopspan_probe_flow_plugins_connected"].samples) == [({}, 1)]
    assert ({"outcome": "unknown_flow"}, 1) in page["hopspan_probe_flow_claims"].samples


def test_without_flows_the_metrics_are_there_and_0() -> None:
    """A dashboard then shows that nothing is kept, and no hole."""
    samples = [sample for metric in read_flow_metrics(None, None) for sample in metric.samples]
    assert samples
    assert {count for _, count in samples} == {0}
