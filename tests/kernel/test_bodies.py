"""Bodies, echoes and other protocols whose bytes look like a request: none is taken for one."""

import pytest

from tests.kernel.bpf_harness import Harness
from tests.kernel.packets import (
    ACK,
    LATER_TIMESTAMPS,
    PARENT_ID,
    SEQ,
    TIMESTAMPS,
    TRACEPARENT,
    http_request,
    request,
    response,
    traced_request,
    vxlan,
)
from tests.kernel.talk import Talk

pytestmark = pytest.mark.bpf


UPLOAD_HEAD = http_request("content-length: 100000", method="POST")
UPLOAD = UPLOAD_HEAD + b"x" * 500
UNSAMPLED_UPLOAD = http_request(f"traceparent: {TRACEPARENT[:-2]}00", method="PUT", body=b"x" * 500)


@pytest.mark.parametrize(
    "upload", [UPLOAD, UNSAMPLED_UPLOAD, traced_request() + b"x"], ids=["untraced", "unsampled", "traced"]
)
def test_body_that_looks_like_a_request(bpf: Harness, port: int, upload: bytes) -> None:
    """A segment of a body that begins like a traced request starts no transit, whatever its own request was."""
    bpf.watch("pod_egress", request(upload, client_port=port))
    bpf.forget_counts()
    inside = traced_request(TRACEPARENT.replace(PARENT_ID, "00f067aa0ba902b7"))
    for number in range(1, 4):
        bpf.watch(
            "pod_egress",
            request(inside, client_port=port, seq=(SEQ + number * 1400) % 2**32, options=LATER_TIMESTAMPS),
        )
    assert bpf.counts() == {"request_pipelined": 3}


def test_body_behind_headers_that_fill_their_segment(bpf: Harness, port: int) -> None:
    """A POST whose header block ends with its segment has its body in the next ones."""
    head = http_request("content-length: 4000", method="POST")
    bpf.watch("pod_egress", request(head, client_port=port))
    bpf.watch("pod_egress", request(traced_request(), client_port=port, seq=(SEQ + len(head)) % 2**32))
    assert bpf.counts() == {"request_no_context": 1, "request_pipelined": 1}


def test_echo(bpf: Harness, port: int) -> None:
    """A response's body that shows the request is none, though the server sends it."""
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n"
    bpf.watch("nic_ingress", vxlan(request(traced_request(), client_port=port)))
    bpf.watch("pod_egress", response(head, client_port=port))
    echo = response(traced_request(), client_port=port, seq=ACK + len(head))
    bpf.watch("pod_egress", echo)
    assert bpf.counts() == {"transits_started": 2, "request_pipelined": 1}


def test_echo_of_an_untraced_request(bpf: Harness, port: int) -> None:
    """Nor is it one where the request was not traced, until the client has said more."""
    talk = Talk(bpf, port)
    talk.send(http_request())
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"
    for number in range(2):
        bpf.forget_counts()
        for segment in (head, b"and\n", traced_request(), traced_request()):
            bpf.watch("pod_egress", response(segment, client_port=port, seq=talk.ack, ack=talk.seq))
            talk.ack += len(segment)
        assert bpf.counts() == {"response_no_exchange": 1, "request_pipelined": 2}, number
        talk.send(http_request())


def test_other_protocol_behind_the_switch(bpf: Harness, port: int) -> None:
    """What the client says behind 101 is no request, whatever it looks like; nor is an answer to it."""
    switching = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\n\r\n"
    sent = traced_request()
    after = (SEQ + len(sent)) % 2**32
    bpf.watch("pod_egress", request(sent, client_port=port))
    bpf.watch("nic_ingress", vxlan(response(switching, client_port=port, ack=after)))
    for seq in (after, (after + len(sent)) % 2**32):
        bpf.watch("pod_egress", request(sent, client_port=port, seq=seq, ack=ACK + len(switching)))
    bpf.watch("nic_ingress", vxlan(response(client_port=port, seq=ACK + len(switching))))
    assert bpf.counts() == {"transits_started": 2, "request_pipelined": 2, "response_no_exchange": 1}


def test_request_after_an_upload_that_was_answered(bpf: Harness, port: int) -> None:
    """Once the server has answered, the next request of the connection is one, right behind the body."""
    behind = (SEQ + len(UPLOAD_HEAD) + 100_000) % 2**32
    bpf.watch("pod_egress", request(UPLOAD, client_port=port))
    bpf.watch("pod_egress", request(traced_request(), client_port=port, seq=behind, ack=ACK + 40))
    assert bpf.counts() == {"request_no_context": 1, "transits_started": 1}


def test_retransmitted_upload(bpf: Harness, port: int) -> None:
    """A traced upload that is sent again is not inside itself."""
    upload = traced_request() + b"x" * 100
    for options in (TIMESTAMPS, LATER_TIMESTAMPS):
        bpf.watch("pod_egress", request(upload, client_port=port, options=options))
    assert bpf.counts() == {"transits_started": 2}
