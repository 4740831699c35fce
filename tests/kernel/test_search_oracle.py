"""The kernel's search and a plain Python reader give the same answer to the same random messages."""

import random
import re

import pytest

from tests.kernel.bpf_harness import Harness
from tests.kernel.packets import PARENT_ID, TRACEPARENT, request
from tests.soak import scale

pytestmark = pytest.mark.bpf

ROUNDS = scale(20_000)
BLOCK_MAX = 8192
WHITE_SPACE_MAX = 8

NAMES = [
    "traceparent",
    "Traceparent",
    "TRACEPARENT",
    "tracestate",
    "xtraceparent",
    "traceparen",
    "traceparents",
    "a",
    "",
]
LINE_ENDS = ["\r\n", "\r\n", "\r\n", "\n", "\r"]
VALUES = [
    TRACEPARENT,
    TRACEPARENT[:-2] + "00",
    TRACEPARENT[:-2] + "0b",
    TRACEPARENT[:-2] + "0a",
    TRACEPARENT.replace("-", ":"),
    TRACEPARENT[:30],
    "x" * 55,
    "",
]


def make_message(dice: random.Random) -> bytes:
    """Return something like a request: lines of all kinds, ends of all kinds, cut anywhere."""
    lines = ["GET /" + "p" * dice.randrange(40) + " HTTP/1.1", *[make_line(dice) for _ in range(dice.randrange(8))]]
    text = "".join(line + dice.choice(LINE_ENDS) for line in lines)
    text += dice.choice(["", "\r\n", "\n"]) + dice.choice(["", "body\r\ntraceparent: " + TRACEPARENT + "\r\n"])
    return text[: dice.randrange(20, len(text) + 40)].encode("latin-1")


def make_line(dice: random.Random) -> str:
    space = dice.choice(["", " ", " ", "\t", " " * WHITE_SPACE_MAX, " " * (WHITE_SPACE_MAX + 2)])
    filler = "".join(chr(dice.choice([9, 11, 13, 32, 58, 97, 122, 255])) for _ in range(dice.randrange(12)))
    return dice.choice(NAMES) + dice.choice([":", ":", ":", " :", "="]) + space + dice.choice([*VALUES, filler])


def judge(message: bytes) -> str:
    """Say what the kernel has to count, by reading line after line. A line ends with LF; CR before it is its own."""
    position = message.find(b"\n") + 1
    if not position:
        return "request_unfinished"
    while True:
        rest = message[position:]
        if rest[:1] == b"\n" or rest[:2] == b"\r\n":
            return "request_no_context"
        match = re.match(rb"traceparent:[ \t]{0,%d}" % WHITE_SPACE_MAX, rest, re.IGNORECASE)
        if match:
            return judge_value(rest[match.end() :])
        following = message.find(b"\n", position)
        if following < 0:
            return "request_unfinished"
        position = following + 1


def judge_value(value: bytes) -> str:
    if len(value) < len(TRACEPARENT) + 1:
        return "request_unfinished"
    if value[2:3] + value[35:36] + value[52:53] != b"---":
        return "request_bad_context"
    # What is no digit at all is judged in user space; here it only has to have been read at the same place.
    digit = chr(value[54])
    odd = digit in "13579" if digit <= "9" else not ord(digit) & 1
    return "transits_started" if odd else "request_unsampled"


@pytest.mark.timeout(600 * max(1, scale(1)))
def test_kernel_and_reader_agree(bpf: Harness, port: int) -> None:
    """Over 20,000 random messages both give the same verdict, and every packet passes unchanged."""
    dice = random.Random(20261124)  # noqa: S311 - the same messages every time
    seen = set()
    for number in range(ROUNDS):
        message = make_message(dice)
        if number % 5000:
            bpf.forget_counts()
        else:
            bpf.start_afresh()  # before the transits, which never end here, are too many
        frame = request(message, client_port=port, seq=number * 10_000 % 2**32, ack=number)
        bpf.watch("pod_egress", frame)
        expected = judge(message)
        assert bpf.counts() == {expected: 1}, message
        seen.add(expected)
    assert seen == {
        "request_unfinished",
        "request_no_context",
        "request_bad_context",
        "request_unsampled",
        "transits_started",
    }


@pytest.mark.parametrize("depth", range(16, 80))
def test_every_alignment(bpf: Harness, port: int, depth: int) -> None:
    """The search goes eight bytes at a time; the context is found wherever it lies among them."""
    line = b"GET / HTTP/1.1\r\nx: " + b"a" * depth + b"\r\ntraceparent: " + TRACEPARENT.encode() + b"\r\n\r\n"
    bpf.watch("pod_egress", request(line, client_port=port))
    bpf.watch("pod_ingress", request(line, client_port=port))
    (record,) = bpf.read_records()
    assert record.transits[0].context.parent_id.hex() == PARENT_ID
