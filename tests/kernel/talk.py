"""A connection that a first point sees both sides of: it keeps the numbers, so that tests say only what is sent."""

from tests.kernel.bpf_harness import Harness
from tests.kernel.packets import ACK, PARENT_ID, SEQ, TRACEPARENT, request, response, traced_request, vxlan

REFUSAL = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"

ALIKE = traced_request(TRACEPARENT.replace(PARENT_ID, "00f067aa0ba902b7"))
"""What a body may hold: a whole request with a sampled context."""


class Talk:
    """One client and one server, whose next sequence numbers are known."""

    def __init__(self, bpf: Harness, port: int, *, seq: int = SEQ, ack: int = ACK) -> None:
        self._bpf = bpf
        self._port = port
        self.seq = seq
        self.ack = ack

    def send(self, *segments: bytes) -> None:
        """Let the client send segments, one after the other, which acknowledge all that the server sent."""
        for segment in segments:
            self._bpf.watch("pod_egress", request(segment, client_port=self._port, seq=self.seq, ack=self.ack))
            self.seq = (self.seq + len(segment)) % 2**32

    def answer(self, segment: bytes = OK) -> None:
        """Let the server send a segment that acknowledges all that the client sent."""
        frame = response(segment, client_port=self._port, seq=self.ack, ack=self.seq)
        self._bpf.watch("nic_ingress", vxlan(frame))
        self.ack += len(segment)


def require_measured(bpf: Harness, talk: Talk) -> None:
    """Send a request, and require that it is measured, and its response."""
    bpf.forget_counts()
    talk.send(traced_request())
    talk.answer()
    assert bpf.counts() == {"transits_started": 2}
