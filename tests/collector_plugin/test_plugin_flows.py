"""The whole plugin with claims: a CLIENT span names its connection, two nodes are asked, and their hops come out."""

import urllib.request
from collections.abc import Iterator

import grpc
import msgspec
import pytest

from collector_plugin.flow_settings import FlowSettings
from hopspan.flow_claims import WATCH_METHOD, Claim, ExactClaim, Hello, IntervalClaim, decode_batch, encode_hello
from node_probe.transit import Context, ContextFormat, Direction, NodeIdentity, Transit, TransitFlag
from tests.collector_plugin.builders import (
    CLIENT,
    EPOCH_NS,
    NODE_1,
    NODE_2,
    SERVER,
    SPAN_ID,
    TRACE_ID,
    address,
    list_spans,
    make_attributes,
    make_decoded_batch,
    make_request,
    make_resource_spans,
    make_span,
    make_transit,
    read_attributes,
)
from tests.collector_plugin.gated_exporter import wait_until
from tests.collector_plugin.plugin_bench import NO_NAMES, Bench
from tests.hopspan.grpc_peer import DEADLINE_S
from tests.node_probe.batch_reference import encode_batch

CLIENT_PORT, SERVER_PORT = 40_000, 8080
SENT, RECEIVED = {2: 1000, 3: 1010, 4: 1020}, {5: 1120, 6: 1130, 7: 1140}


class Agent:
    """A node's agent: listens for claims, and answers as it is told."""

    def __init__(self, bench: Bench, node: NodeIdentity) -> None:
        self._bench, self._node = bench, node
        watch: grpc.UnaryStreamMultiCallable[bytes, bytes] = bench.channel.unary_stream(WATCH_METHOD)
        self._call = watch(encode_hello(Hello(node.name, node.clock_id)), timeout=DEADLINE_S)

    def read(self) -> Claim:
        """Return the one claim of the next batch."""
        (claim,) = decode_batch(next(self._call)).claims
        return claim

    def answer(self, claim: Claim, points: dict[int, int], **fields: Direction | int) -> None:
        """Send the transit that the claim asks for."""
        plain = make_transit(points)
        context = Context(claim.trace_id, claim.parent_id, claim.trace_flags, ContextFormat.FLOW)
        transit: Transit = msgspec.structs.replace(plain, context=context, flags=TransitFlag.TLS, **fields)
        self._bench.send(encode_batch(make_decoded_batch(self._node, transit), "1"))

    def close(self) -> None:
        """Go."""
        self._call.cancel()


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A plugin that claims flows."""
    bench = Bench(NO_NAMES, FlowSettings(enabled=True))
    yield bench
    bench.plugin.stop()
    bench.close()


def read_samples(bench: Bench) -> dict[str, float]:
    """Return the samples of its metrics about claims."""
    with urllib.request.urlopen(f"http://localhost:{bench.plugin.metrics_port}/metrics", timeout=20) as page:
        lines = page.read().decode().splitlines()
    samples = (line.rpartition(" ") for line in lines if line.startswith("hopspan_plugin_claim"))
    return {name.removeprefix("hopspan_plugin_"): float(value) for name, _, value in samples}


def named_span(**attributes: str) -> bytes:
    """Return a request with a CLIENT span that has these attributes beside others."""
    span = make_span()
    span.attributes.extend(make_attributes({key.replace("_", "."): value for key, value in attributes.items()}))
    return make_request(make_resource_spans([span]))


def test_both_nodes_are_asked_and_their_hops_come_out(bench: Bench) -> None:
    """The client's by interval, the other one by the packet; then all is as for a header."""
    near, far = Agent(bench, NODE_1), Agent(bench, NODE_2)
    wait_until(lambda: read_samples(bench)["claim_agents"] == 2)
    spans = named_span(
        hopspan_local=f"{CLIENT}:{CLIENT_PORT}", hopspan_remote=f"{SERVER}:{SERVER_PORT}", hopspan_protocol="HTTP/1.1"
    )
    bench.send(spans)
    assert bench.peer.take() == spans
    claim = near.read()
    ends = address(CLIENT), CLIENT_PORT, address(SERVER), SERVER_PORT
    assert claim == far.read()
    assert claim == IntervalClaim(TRACE_ID, SPAN_ID, 1, *ends, EPOCH_NS, EPOCH_NS + 40_000_000, is_one_at_a_time=True)
    near.answer(claim, SENT)
    exact = far.read()
    assert exact == ExactClaim(TRACE_ID, SPAN_ID, 1, 0, address(CLIENT), CLIENT_PORT, 4242, 100)
    far.answer(exact, RECEIVED)
    hops = list_spans([bench.peer.take()])
    assert [(span.name, read_attributes(span)["hopspan.duration_ns"]) for span in hops] == [
        ("host-forward", 10_000),
        ("vxlan-encap", 10_000),
        ("underlay", 100_000),
        ("vxlan-decap", 10_000),
        ("host-forward", 10_000),
    ]
    assert {(span.trace_id, span.parent_span_id) for span in hops} == {(TRACE_ID, SPAN_ID)}
    samples = read_samples(bench)
    assert samples['claims_total{kind="interval"}'] == samples['claims_total{kind="exact"}'] == 1
    assert samples["claims_answered_total"] == 2
    assert samples["claim_addresses"] == 2
    near.close()
    far.close()


def test_node_is_asked_alone_once_it_has_answered(bench: Bench) -> None:
    """The next span of the pod costs the others nothing."""
    near, far = Agent(bench, NODE_1), Agent(bench, NODE_2)
    wait_until(lambda: read_samples(bench)["claim_agents"] == 2)
    spans = named_span(hopspan_local=f"{CLIENT}:{CLIENT_PORT}")
    bench.send(spans)
    near.answer(near.read(), {2: 1000, 7: 1010})
    far.read()
    bench.send(spans)
    assert isinstance(near.read(), IntervalClaim)
    samples = read_samples(bench)
    assert (samples['claims_queued_total{agents="all"}'], samples['claims_queued_total{agents="known"}']) == (2, 1)
    near.close()
    far.close()


def test_spans_that_name_nothing_are_counted_and_passed_on(bench: Bench) -> None:
    """Whatever a span says of its connection, it is delivered as it came."""
    for spans in (named_span(), named_span(hopspan_local="-"), named_span(hopspan_local="127.0.0.1:9")):
        bench.send(spans)
        assert bench.peer.take() == spans
    samples = read_samples(bench)
    for reason in ("unnamed", "unreadable", "loopback"):
        assert samples[f'claims_dropped_total{{reason="{reason}"}}'] == 1


def test_plugin_ends_at_once_while_agents_listen() -> None:
    """Nobody waits for a stream to end by itself."""
    bench = Bench(NO_NAMES, FlowSettings(enabled=True))
    agent = Agent(bench, NODE_1)
    wait_until(lambda: read_samples(bench)["claim_agents"] == 1)
    bench.plugin.stop()
    with pytest.raises(grpc.RpcError):
        agent.read()
    bench.close()
