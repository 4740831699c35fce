"""A plugin that is none: takes transits of agents, and hands them the claims that a test makes."""

import queue
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import grpc

from hopspan.flow_claims import WATCH_METHOD, Claim, ExactClaim, decode_hello, encode_batch
from testbed.topology import PLUGIN_ENDPOINT
from tests.testbed.arrivals import DIRECTIONS, Arrival
from tests.testbed.otlp_peer import OtlpPeer

WATCH_POLL_S = 0.2


class ClaimingPeer(OtlpPeer):
    """Takes transits, and hands claims to the agents that ask for them."""

    def __init__(self) -> None:
        self.agents: dict[str, queue.Queue[bytes]] = {}
        super().__init__(PLUGIN_ENDPOINT)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Serve both methods."""
        if handler_call_details.method == WATCH_METHOD:
            return grpc.unary_stream_rpc_method_handler(self._watch)
        return super().service(handler_call_details)

    def claim(self, node: str, *claims: Claim) -> None:
        """Send claims to a node's agent."""
        self.agents[node].put(encode_batch(claims))

    def _watch(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        batches = self.agents[decode_hello(request).node] = queue.Queue()
        while context.is_active():  # no longer, or its thread would hold up the end of the interpreter for ever
            with suppress(queue.Empty):
                yield batches.get(timeout=WATCH_POLL_S)


def map_address(address: Any) -> bytes:
    return bytes(10) + b"\xff\xff" + bytes(address.packed)


def name_exactly(arrival: Arrival) -> ExactClaim:
    sending = arrival.sending
    direction = DIRECTIONS.index(sending.direction)
    flow = sending.client, sending.client_port, sending.seq, sending.tsval
    return ExactClaim(sending.trace_id, sending.parent_id, 1, direction, *flow)
