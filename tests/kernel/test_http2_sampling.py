"""The sampled flag of HTTP/2's contexts: where it is told in the kernel, nothing of an unsampled trace leaves it."""

import random

import pytest

from tests.kernel.bpf_harness import Harness
from tests.kernel.http2_blocks import DYNAMIC, literal, string
from tests.kernel.http2_frames import headers
from tests.kernel.http2_talk import Connection, count_reasons, make_value, read_all, read_values
from tests.soak import scale

pytestmark = pytest.mark.bpf

START = b"\x83\x86"
"""POST, http."""


def make_random_value(dice: random.Random, flags: str) -> bytes:
    return f"00-{dice.getrandbits(128) | 1:032x}-{dice.getrandbits(64) | 1:016x}-{flags}".encode()


@pytest.mark.parametrize("coded", [False, True], ids=["plain", "coded"])
def test_unsampled_contexts_are_left_alone(bpf: Harness, port: int, coded: bool) -> None:  # noqa: FBT001
    """Thousands of random ids: flags 00 never leave the kernel, 01 always do, whatever bits the code ends with."""
    dice = random.Random(20261130)  # noqa: S311 - the same ids every time
    connection = Connection(bpf, port).open()
    rounds = scale(3000)
    for number_ in range(rounds):
        sent = [make_random_value(dice, flags) for flags in ("01", "00")]
        fields = [START + literal(DYNAMIC, string(value, coded=coded)) for value in sent]
        stream = number_ % 100_000 * 4 + 1
        connection.ask(headers(fields[0], stream) + headers(fields[1], stream + 2))
        assert read_values(bpf) == [(stream, sent[0].decode())]
    counts = count_reasons(bpf)
    assert counts["request_unsampled"] == counts["transits_started"] == rounds
    assert counts.keys() == {"request_unsampled", "transits_started", "http2_requests"}


@pytest.mark.parametrize("coded", [False, True], ids=["plain", "coded"])
def test_every_flag(bpf: Harness, port: int, coded: bool) -> None:  # noqa: FBT001
    """The sampled bit is judged here where the value is plain; of a code the kernel tells 00 alone.

    The agent judges the rest: what it hands on is sampled.
    """
    connection = Connection(bpf, port).open()
    for flags in range(256):
        value = make_value(f"{flags:02x}")
        connection.ask(headers(START + literal(DYNAMIC, string(value.encode(), coded=coded)), 2 * flags + 1))
        leaves = flags != 0 if coded else flags & 1
        found = read_all(bpf)
        assert [f.value for f in found] == ([value] if leaves else []), flags
        assert "".join(f.ids for f in found) == (value if flags & 1 else "")
