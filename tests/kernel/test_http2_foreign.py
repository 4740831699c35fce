"""On connections that are not HTTP/2 nothing is read as such: no context comes of any other protocol.

A known limit is what holds HTTP/2 itself: an upload in HTTP/1.1, or a tunnel, of a recording of such a connection, in
which a segment happens to begin with a request's frame, cannot be told from one whose beginning was missed.
"""

import random

import pytest

from tests.kernel.bpf_harness import Harness
from tests.kernel.http2_talk import read_all
from tests.kernel.other_protocols import MAKERS, Maker, cut_anywhere
from tests.kernel.packets import request, response, vxlan
from tests.soak import scale

pytestmark = pytest.mark.bpf

SEED = 20261130
ROUNDS = scale(150)


@pytest.mark.timeout(600 * max(1, scale(1)))
@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_no_context_of_another_protocol(bpf: Harness, port: int, maker: Maker) -> None:
    """Many connections, from both sides, in segments cut anywhere: nothing is found, and no packet is awaited."""
    dice = random.Random(f"{SEED} {maker.__name__}")  # noqa: S311 - the same bytes every time
    sent = 0
    for _ in range(ROUNDS):
        seq = dice.getrandbits(32)
        program = dice.choice(["pod_egress", "veth_ingress_first", "nic_ingress"])
        is_client = dice.randrange(2)
        for piece in cut_anywhere(dice, maker(dice)):
            frame = (request if is_client else response)(piece, client_port=port, seq=seq)
            bpf.watch(program, vxlan(frame) if program == "nic_ingress" else frame)
            seq = (seq + len(piece)) % 2**32
            sent += 1
    assert sent > ROUNDS
    bpf.sweep()
    assert read_all(bpf) == []
    assert "transits_started" not in bpf.counts()
    assert bpf.list_awaited() == {}


def test_corpus_is_met_by_the_programs(bpf: Harness, port: int) -> None:
    """What no program looked at would prove nothing: some of these segments pass for frames, and are counted so."""
    dice = random.Random(SEED)  # noqa: S311 - the same bytes every time
    for _ in range(ROUNDS):
        for piece in cut_anywhere(dice, b"".join(maker(dice) for maker in MAKERS)):
            bpf.watch("pod_egress", request(piece, client_port=port, seq=dice.getrandbits(32)))
    assert bpf.counts()["http2_uncertain"] > 0
    bpf.sweep()
    assert read_all(bpf) == []
