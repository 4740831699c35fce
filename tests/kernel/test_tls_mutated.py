"""Programs that follow TLS watch, too, whatever a packet looks like; and what they hand out can be read."""

import random

import pytest

from node_probe.kernel_burst import decode_burst
from node_probe.programs import PROGRAMS
from tests.kernel.bpf_harness import Harness
from tests.kernel.packets import SEQ, request, request_6, response, tagged, vxlan
from tests.kernel.test_mutated_packets import make_frames, mutate
from tests.kernel.tls_talk import CHANGE_CIPHER_SPEC, CLIENT_HELLO, SERVER_HELLO, hello, record, records
from tests.soak import scale

pytestmark = pytest.mark.bpf

ROUNDS = scale(5000)


def make_segments() -> list[bytes]:
    """Return packets of TLS, to be mutated: those of one connection, cut and whole, and of others."""
    plain = [
        request(hello(CLIENT_HELLO)),
        response(hello(SERVER_HELLO) + record(1, CHANGE_CIPHER_SPEC) + records(400)),
        request(record(1, CHANGE_CIPHER_SPEC) + records(53), seq=(SEQ + 305) % 2**32, ack=7800),
        request(records(100), seq=(SEQ + 400) % 2**32, ack=7900),
        request(records(100), seq=(SEQ + 505) % 2**32, ack=7900),
        request(records(9, 8, 7, 6, 5), seq=(SEQ + 700) % 2**32, ack=8000),
        request(records(1000)[:300], seq=(SEQ + 800) % 2**32, ack=9000),
        response(records(200, 30), seq=7800),
        request_6(records(100), client_port=40001),
        tagged(request(records(100), ack=9900), 5),
    ]
    return [*plain, *map(vxlan, plain)]


@pytest.mark.timeout(300 * scale(1))
def test_every_packet_passes_unchanged(flows: Harness) -> None:
    """Thousands of mutated packets at points chosen at random; some of them still begin messages."""
    flows.configure(8472, 4789)
    dice = random.Random(20261129)  # noqa: S311 - the same packets every time
    segments, others = make_segments(), make_frames()
    begun = told = 0
    for number in range(ROUNDS):
        frame = mutate(dice, dice.choice(segments if dice.randrange(4) else others))
        for program in dice.sample(PROGRAMS, 2):
            flows.watch(program, frame)
        if number % 1000 == 999:
            begun += flows.counts()["tls_flow"]
            flows.sweep()
            told += sum(decode_burst(data) is not None for data in flows.read_ring())
            flows.start_afresh()
    assert begun > ROUNDS // 200
    assert told > ROUNDS // 200
