"""Bad HTTP/2: absurd lengths, frames cut off, floods, blocks full of look-alikes.

Every packet passes as it is, what is not read is counted, and no context is handed out that the packet does not hold.
"""

import random

import pytest

from node_probe.programs import PROGRAMS
from tests.kernel.bpf_harness import Harness
from tests.kernel.http2_blocks import DYNAMIC, STYLES, Encoder, indexed, literal, number, string, traced
from tests.kernel.http2_frames import END_HEADERS, HEAD_BYTES, PADDED, PREFACE, data, frame, headers, settings
from tests.kernel.http2_talk import (
    STREAMS_MAX,
    Connection,
    at_point,
    count_reasons,
    make_value,
    read_all,
    read_values,
)
from tests.soak import scale

pytestmark = pytest.mark.bpf

ROUNDS = scale(6000)
LARGEST = 3400
START = b"\x83\x86"


def mutate(dice: random.Random, payload: bytes) -> bytes:
    """Change some bytes, mostly of heads and lengths; cut out, double, or cut off."""
    data_ = bytearray(payload)
    for _ in range(dice.choice([1, 1, 2, 3, 8])):
        at = dice.randrange(len(data_))
        change = dice.randrange(6)
        if change < 2:
            data_[at] = dice.choice([0, 1, 4, 0x7F, 0x80, 0xA5, 0xBE, 0xFF, dice.randrange(256)])
        elif change == 2:
            data_[dice.randrange(min(HEAD_BYTES, len(data_)))] = dice.choice([0, 1, 0xFF, dice.randrange(256)])
        elif change == 3:
            data_[at] ^= 1 << dice.randrange(8)
        elif change == 4 and len(data_) > 30:
            del data_[at : at + dice.randrange(1, 20)]
        else:
            data_[at:at] = data_[max(0, at - dice.randrange(1, 60)) : at]
    if not dice.randrange(4):
        del data_[dice.randrange(1, len(data_) + 1) :]
    return bytes(data_[:LARGEST]) or b"\0"


def make_segment(dice: random.Random) -> bytes:
    encoder = Encoder(dice.choice(STYLES))
    calls = [
        headers(encoder.encode(traced(value=make_value())), 2 * n + 1, padding=dice.choice([None, 9]))
        for n in range(dice.randrange(1, 6))
    ]
    before = dice.choice([b"", PREFACE + settings(), data(b"x" * dice.randrange(200))])
    return before + b"".join(calls)


@pytest.mark.timeout(600 * max(1, scale(1)))
def test_mutated_segments_pass_unchanged(bpf: Harness, port: int) -> None:
    """At points chosen at random, from both sides; a context that leaves stood in one of the packets."""
    dice = random.Random(20261130)  # noqa: S311 - the same packets every time
    sent = b""
    found = 0
    for turn in range(ROUNDS):
        connection = Connection(bpf, port, seq=dice.getrandbits(32))
        segment = mutate(dice, make_segment(dice))
        sent += segment
        make = dice.choice([connection.request_frame, connection.request_frame, connection.response_frame])
        packet = make(segment, connection.client_seq)
        for program in dice.sample(PROGRAMS, 3):
            bpf.watch(program, at_point(program, packet))
        if turn % 500 == 499:
            bpf.sweep()
            for record in bpf.read_ring():
                length = record[-70]
                assert record[-64 : -64 + length] in sent
                found += 1
            sent = b""
            bpf.start_afresh()
    assert found > ROUNDS // 20
    assert bpf.list_awaited() == {}


@pytest.mark.parametrize("length", [0, 1, 5, 16_384, 16_385, 2**24 - 1])
@pytest.mark.parametrize("kind", [*range(12), 0xFF])
def test_absurd_lengths(bpf: Harness, port: int, kind: int, length: int) -> None:
    """A head that claims any length: the request behind it is not read from inside it, and all later ones are."""
    connection = Connection(bpf, port).open()
    head = length.to_bytes(3) + bytes([kind, 0, 0, 0, 0, 1])
    connection.ask(head + connection.call(1, make_value()))
    read_values(bpf)
    value = make_value()
    other = Connection(bpf, port, seq=99_000_000)
    other.ask(PREFACE + settings() + other.call(3, value))
    assert read_values(bpf) == [(3, value)]


@pytest.mark.parametrize("kept", range(1, 60))
def test_truncated_frames(bpf: Harness, port: int, kept: int) -> None:
    """A frame is cut anywhere, and nothing follows: what is not whole is not found, and nothing stays awaited."""
    connection = Connection(bpf, port).open()
    whole = headers(START + literal(DYNAMIC, string(make_value().encode())))
    connection.ask(whole[:kept])
    bpf.sweep()
    assert read_values(bpf) == []
    assert bpf.list_awaited() == {}


def test_padding_longer_than_the_frame(bpf: Harness, port: int) -> None:
    """A connection error for a receiver; nothing for us."""
    for padding in range(60, 256, 5):
        connection = Connection(bpf, port, seq=padding * 100_000)
        connection.ask(PREFACE + settings())
        block = START + literal(DYNAMIC, string(make_value().encode()))
        connection.ask(frame(1, bytes([padding]) + block, flags=END_HEADERS | PADDED, stream=1))
        assert read_values(bpf) == []


def test_flood_of_requests(bpf: Harness, port: int) -> None:
    """Segments full of the smallest requests: some are looked at, and every segment counts what is left."""
    connection = Connection(bpf, port).open()
    for number_ in range(200):
        connection.ask(b"".join(headers(b"\x82\x86\x84", 2 * n + 1) for n in range(250)))
        assert count_reasons(bpf)["http2_too_many"] == number_ + 1
    assert count_reasons(bpf)["http2_requests"] == 200 * STREAMS_MAX
    assert read_values(bpf) == []


LOOK_ALIKES = {
    "coded signatures": b"\xa5\x00\x16" * 160,
    "plain signatures": b"\x3700-" * 120,
    "names": string(b"traceparent") * 40,
    "coded names": string(b"traceparent", coded=True) * 50,
    "fields by number": b"".join(indexed(index) for index in range(62, 127)) * 7,
    "fields of the static table": indexed(8) * 490,
    "long numbers": (b"\xff\xff\xff\x01" * 120),
    "names by long numbers": b"".join(literal(index, string(b"")) for index in range(62, 300)),
    "empty names": literal(string(b""), string(b"")) * 160,
    "changes of the table": b"\x3f\xe1\x1f" * 160,
    "zeros": bytes(490),
    "ones": b"\xff" * 490,
    "one length behind another": b"".join(number(index, 7) for index in range(490)),
}


@pytest.mark.parametrize("filler", LOOK_ALIKES.values(), ids=list(LOOK_ALIKES))
def test_blocks_full_of_look_alikes(bpf: Harness, port: int, filler: bytes) -> None:
    """No context comes of them, and each request is counted under some reason."""
    for padding in range(16):
        connection = Connection(bpf, port, seq=padding * 100_000)
        connection.ask(PREFACE + settings())
        bpf.start_afresh()
        connection.ask(headers(START + literal(32, string(b"~" * padding)) + filler))
        assert read_all(bpf) == []
        counts = count_reasons(bpf)
        assert sum(counts.values()) - counts.get("http2_requests", 0) >= 1, counts


@pytest.mark.parametrize("number_of_fields", [20, 40, 64, 65, 100, 200])
def test_context_behind_many_short_fields(bpf: Harness, port: int, number_of_fields: int) -> None:
    """It is found, or the request is counted as too long; it never counts as one without a context."""
    value = make_value()
    connection = Connection(bpf, port).open()
    block = START + indexed(40) * number_of_fields + literal(DYNAMIC, string(value.encode(), coded=True))
    connection.ask(headers(block))
    if read_values(bpf) != [(1, value)]:
        assert number_of_fields > 40
        assert count_reasons(bpf) == {"http2_requests": 1, "request_too_long": 1}
