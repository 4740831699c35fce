"""Chunked bodies have no length: they are followed, segment after segment, until the last chunk has come."""

import pytest

from tests.kernel.bpf_harness import Harness
from tests.kernel.packets import TRACEPARENT, http_request
from tests.kernel.talk import ALIKE, REFUSAL, Talk, require_measured

pytestmark = pytest.mark.bpf

CODING = "transfer-encoding: chunked"
LAST = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def upload(*lines: str, body: bytes = b"") -> bytes:
    return http_request(*(lines or (CODING,)), method="POST", body=body)


@pytest.mark.parametrize(
    "segments",
    [
        [upload(body=LAST)],
        [upload(body=chunk(b"x" * 30) + LAST)],
        [upload(), chunk(b"x" * 30), LAST],
        [upload(), chunk(b"x" * 30) + chunk(b"y" * 3000) + LAST],
        [upload("Transfer-Encoding:\tgzip, chunked"), chunk(b"\0" * 30) + LAST],
        [upload(), chunk(ALIKE)[:-10], chunk(ALIKE)[-10:] + LAST],
        [upload(), *[chunk(b"x" * 700)] * 50, LAST],
    ],
    ids=["empty", "one segment", "each alone", "large", "two codings", "cut", "many"],
)
def test_ordinary_uploads_on_one_connection(bpf: Harness, port: int, segments: list[bytes]) -> None:
    """Behind an answer that came when the body was over, every next request is measured."""
    talk = Talk(bpf, port)
    for _ in range(3):
        talk.send(*segments)
        talk.answer()
        require_measured(bpf, talk)
    bpf.sweep()
    assert bpf.list_awaited() == {}


def test_body_that_looks_like_other_protocols(bpf: Harness, port: int) -> None:
    """Segments that begin like HTTP/2 or TLS, as binary data does now and then, are followed like all others."""
    talk = Talk(bpf, port)
    talk.send(upload())
    talk.answer(REFUSAL)
    bpf.forget_counts()
    frames = [bytes([0, 0, 8, kind, 0, 0, 0, 0, 1]) for kind in range(10)]
    for start in (*frames, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x17\x03\x03\0\x20"):
        talk.send(start + b"x" * 50, ALIKE)
        talk.ack += 100
    assert bpf.counts() == {"request_pipelined": 12, "tls_seen": 1}
    talk.send(LAST)
    require_measured(bpf, talk)


def test_early_answer(bpf: Harness, port: int) -> None:
    """Until the last chunk has come nothing is a request, whatever the server says meanwhile."""
    head, tail = chunk(ALIKE)[:4], chunk(ALIKE)[-2:]
    talk = Talk(bpf, port)
    talk.send(upload())
    talk.answer(REFUSAL)
    bpf.forget_counts()
    for _ in range(3):
        talk.send(b"x" * 10 + head, ALIKE, tail + b"more", ALIKE)
        talk.ack += 100
    assert bpf.counts() == {"request_pipelined": 6}
    talk.send(LAST)
    require_measured(bpf, talk)


def test_context_in_a_later_segment(bpf: Harness, port: int) -> None:
    """A header block over several segments may end with that it is chunked."""
    head = upload("x: " + "y" * 200, f"traceparent: {TRACEPARENT}", CODING)
    talk = Talk(bpf, port)
    talk.send(head[:150], head[150:-20], head[-20:])
    talk.answer(REFUSAL)
    bpf.forget_counts()
    talk.send(ALIKE, chunk(b"x"), ALIKE)
    assert bpf.counts() == {"request_pipelined": 2}
    talk.send(LAST)
    require_measured(bpf, talk)


@pytest.mark.parametrize("data", [b"10\r\n\r\n", b"x0\r\n\r\n", b"\r\n\r\n", b"\n0\r\n\r\nx", b"0\n\n\n\n"])
def test_what_is_not_the_last_chunk(bpf: Harness, port: int, data: bytes) -> None:
    """A line that ends with 0 is not the last chunk, nor is an empty line alone."""
    talk = Talk(bpf, port)
    talk.send(upload(), data)
    talk.answer(REFUSAL)
    bpf.forget_counts()
    talk.send(ALIKE)
    assert bpf.counts() == {"request_pipelined": 1}


def test_body_that_was_lost_sight_of(bpf: Harness, port: int) -> None:
    """Where a segment was not seen the body ends with an answer, since the next request has to be measured."""
    talk = Talk(bpf, port)
    talk.send(upload(), chunk(b"x" * 30))
    talk.seq += 1000
    talk.send(ALIKE)
    assert bpf.counts() == {"request_no_context": 1, "request_pipelined": 1}
    talk.answer()
    require_measured(bpf, talk)


def test_nothing_stays_awaited(bpf: Harness, port: int) -> None:
    """Who sends no more of a body is forgotten."""
    talk = Talk(bpf, port)
    talk.send(upload(), chunk(b"x" * 30))
    assert sum(bpf.list_awaited().values()) == 1
    bpf.sweep()
    assert bpf.list_awaited() == {}
    talk.answer()
    bpf.forget_counts()
    talk.send(ALIKE)
    assert bpf.counts() == {"request_pipelined": 1}


def test_new_connection_from_the_same_port(bpf: Harness, port: int) -> None:
    """A body that was never finished says nothing of a later connection."""
    talk = Talk(bpf, port)
    talk.send(upload(), chunk(b"x" * 30))
    require_measured(bpf, Talk(bpf, port, seq=talk.seq + 123_456, ack=talk.ack + 654_321))
