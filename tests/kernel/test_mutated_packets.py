"""We watch, never decide: whatever a packet looks like, every program lets it pass and leaves it as it was."""

import random
from contextlib import suppress

import pytest

from node_probe.context import ContextError
from node_probe.kernel_record import decode_kernel_record
from node_probe.programs import PROGRAMS
from tests.kernel.bpf_harness import Harness
from tests.kernel.http2_blocks import C_CORE, Encoder, traced
from tests.kernel.http2_frames import PREFACE, data, headers, settings
from tests.kernel.packets import (
    CLIENT_6,
    NODE_1_6,
    NODE_2_6,
    SEQ,
    SERVER_6,
    ethernet,
    ipv4,
    ipv6,
    request,
    request_6,
    response,
    tagged,
    traced_request,
    vxlan,
)
from tests.soak import scale

pytestmark = pytest.mark.bpf

ROUNDS = scale(20_000)

ETHERNET_BYTES = 14
IP_BYTES = {b"\x08\x00": 20, b"\x86\xdd": 40}
"""Of the header that each type names: the kernel refuses to run a program on a packet with less."""

LARGEST = 1500

CALL = headers(Encoder(C_CORE).encode(traced()))
"""A request of HTTP/2."""


def make_frames() -> list[bytes]:
    """Return packets of all kinds that a node sees, to be mutated."""
    plain = [
        request(traced_request()),
        request(traced_request(padding=700)),
        request(traced_request(), options=b"", ip_options=b"\x01" * 8),
        request(traced_request(), options=b"\x02\x04\x05\xb4" + b"\x01" * 4),
        request(b""),
        request(b"\x17\x03\x03\x00\x50" + bytes(80)),
        response(),
        response(b"HTTP/1.1 100 Continue\r\n\r\n"),
        ethernet(ipv4(bytes(24), 17, "10.0.0.1", "10.0.0.2")),
        ethernet(bytes(40), 0x86DD),
        ethernet(bytes(28), 0x0806),
        tagged(request(traced_request()), 5),
        tagged(request_6(traced_request(), client_port=40000), 5, 6),
        request_6(traced_request(), client_port=40000),
        request_6(traced_request(padding=300)[:200], client_port=40001),
        request(traced_request(padding=300)[:200], client_port=40001),
        request(traced_request(padding=300)[200:], client_port=40001, seq=(SEQ + 200) % 2**32),
        response(client=CLIENT_6, server=SERVER_6),
        ethernet(ipv6(bytes(40), 44, CLIENT_6, SERVER_6), 0x86DD),
        request(CALL),
        request_6(CALL, client_port=40002),
        request(PREFACE + settings() + CALL * 3 + data(bytes(900))[:300]),
        request(data(bytes(900))[300:] + CALL, client_port=40003),
        response(headers(b"\x88")),
        response(headers(b"\x48\x03100") + headers(b"\x88") + data(bytes(90))),
    ]
    return [*plain, *map(vxlan, plain), *(vxlan(frame, source=NODE_1_6, destination=NODE_2_6) for frame in plain)]


def mutate(dice: random.Random, frame: bytes) -> bytes:
    """Return the frame with some bytes changed, cut out, doubled or cut off; most changes lie in its headers."""
    data = bytearray(frame)
    for _ in range(dice.choice([0, 1, 1, 2, 3, 8])):
        # The inner headers of a tunnel end at byte 116.
        at = min(int(dice.triangular(12, len(data), 40)), len(data) - 1)
        change = dice.randrange(6)
        if change < 3:
            data[at] = dice.choice([0, 0xFF, 0x45, 0x4F, 0x06, 0x11, 0x0D, 0x0A, dice.randrange(256)])
        elif change == 3:
            data[at] ^= 1 << dice.randrange(8)
        elif change == 4:
            del data[at : at + dice.randrange(1, 20)]
        else:
            data[at:at] = data[max(0, at - dice.randrange(1, 40)) : at]
    data = data.ljust(ETHERNET_BYTES, b"\0")
    if dice.randrange(4) == 0:
        del data[dice.randrange(ETHERNET_BYTES, len(data) + 1) :]
    return bytes(data.ljust(ETHERNET_BYTES + IP_BYTES.get(bytes(data[12:14]), 0), b"\0")[:LARGEST])


@pytest.mark.timeout(600 * scale(1))
def test_every_packet_passes_unchanged(bpf: Harness) -> None:
    """Tens of thousands of mutated packets at points chosen at random; some of them still start and end transits."""
    bpf.configure(8472, 4789)
    dice = random.Random(20261124)  # noqa: S311 - the same packets every time
    frames = make_frames()
    started = ended = 0
    for number in range(ROUNDS):
        frame = mutate(dice, dice.choice(frames))
        for program in dice.sample(PROGRAMS, 2):
            bpf.watch(program, frame)
        if number % 1000 == 999:
            counts = bpf.counts()
            started += counts["transits_started"]
            ended += counts.get("transits_emitted", 0)
            for record in bpf.read_ring():
                with suppress(ContextError):
                    decode_kernel_record(record)
            bpf.start_afresh()
    assert started > ROUNDS // 200
    assert ended > ROUNDS // 1000
