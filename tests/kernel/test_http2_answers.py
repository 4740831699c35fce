"""Servers that answer many streams at random, beside a model: which frame is the response of which request.

The model is a dictionary of the streams under way: of each the first header block that is final is its response.
"""

import itertools
import os
import random
import sys
from collections import Counter

import pytest

from node_probe.transit import Direction
from tests.kernel.bpf_harness import Harness
from tests.kernel.http2_blocks import ANSWER, STYLES, TRAILERS, TRAILERS_ONLY, Field, call
from tests.kernel.http2_frames import HEAD_BYTES, data, headers, ping, push_promise, rst_stream, window_update
from tests.kernel.http2_talk import STREAMS_MAX, Connection, count_reasons, make_value, read_all
from tests.soak import SOAK, scale

pytestmark = pytest.mark.bpf

CONNECTIONS = scale(80)
STREAMS = 40
LARGEST = 3400
INDEXED = 0x80
"""From here on a field's first byte says that name and value are a number."""

INTERIM: list[list[Field]] = [[(b":status", b"100")], [(b":status", b"103"), (b"link", b"</a.css>"), (b"x", b"y")]]


class Server:
    """What one server says, frame by frame, and what each frame means for who only sees them."""

    def __init__(self, dice: random.Random, connection: Connection) -> None:
        self.dice, self.connection = dice, connection
        self.values: dict[int, str] = {}
        """Contexts of the streams that wait for a response."""

        self.open: list[int] = []
        self.answered: set[int] = set()
        self.has_hinted = False

    def ask(self) -> None:
        """Let the client make its requests, traced or not."""
        for stream in range(1, 2 * STREAMS, 2):
            value = make_value(self.dice.choice(["01", "01", "00"]))
            if self.dice.randrange(4):
                self.connection.ask(self.connection.call(stream, value))
                if value.endswith("1"):
                    self.values[stream] = value
            else:
                self.connection.ask(headers(self.connection.encoder.encode(call()), stream))
            self.open.append(stream)

    def say(self) -> tuple[bytes, int, str]:
        """Return the next frame, its stream, and what it is."""
        dice, encode = self.dice, self.connection.server_encoder.encode
        stream = dice.choice(self.open)
        choice = dice.randrange(14)
        if choice < 2:
            return dice.choice([window_update(), ping(), window_update(stream)]), stream, "other"
        if choice == 2:
            return push_promise(encode(call()), stream, 2 * stream), stream, "other"
        if choice == 3:
            self.open.remove(stream)
            return rst_stream(stream), stream, "reset"
        if stream not in self.answered:
            return self._answer(stream)
        if choice < 10:
            body = dice.randbytes(dice.choice([0, 5, 100, 1448, 4000]))
            return data(body, stream), stream, "other"
        self.open.remove(stream)
        return headers(encode(TRAILERS), stream, end_stream=True), stream, "trailers"

    def _answer(self, stream: int) -> tuple[bytes, int, str]:
        encode, dice = self.connection.server_encoder.encode, self.dice
        if not dice.randrange(5):
            # The second one with further fields would be taken for final: a known limit.
            fields = INTERIM[dice.randrange(2) if not self.has_hinted else 0]
            self.has_hinted |= fields is INTERIM[1]
            block = encode(fields)
            return headers(block, stream), stream, "interim" if block[0] < INDEXED else "interim by number"
        self.answered.add(stream)
        fields = dice.choice([ANSWER, TRAILERS_ONLY, [*ANSWER, (b"traceresponse", make_value().encode())]])
        return headers(encode(fields), stream, padding=dice.choice([None, None, 7])), stream, "response"


Said = list[tuple[int, int, str]]
"""Where each frame begins, its stream, and what it is."""


def talk(server: Server) -> tuple[bytes, Said]:
    """Return all that the server says."""
    said, frames = b"", []
    while server.open:
        frame, stream, what = server.say()
        frames.append((len(said), stream, what))
        said += frame
    return said, frames


def judge(server: Server, frames: Said, start: int, end: int) -> tuple[list[tuple[int, str, int]], Counter[str]]:
    """Return the responses that are found in a segment, and what is counted."""
    found: list[tuple[int, str, int]] = []
    counts: Counter[str] = Counter()
    streams = 0
    for at, stream, what in frames:
        if not start < at + HEAD_BYTES <= end:
            continue
        if streams == STREAMS_MAX:
            counts["http2_too_many"] += 1
            break
        streams += what != "other"
        if what == "response" and at + HEAD_BYTES < end:
            if stream not in server.values:
                counts["response_no_exchange"] += 1
            else:
                found.append((stream, server.values.pop(stream), at))
        elif what.startswith("interim"):
            if stream in server.values:
                counts["response_interim"] += 1
            elif what == "interim":  # a number could be the trailers', so it is nothing
                counts["response_no_exchange"] += 1
        elif what == "reset" and server.values.pop(stream, ""):
            counts["http2_reset"] += 1
    return found, counts


@pytest.mark.timeout(600 * max(1, scale(1)))
def test_every_response_is_that_of_its_stream(bpf: Harness, port: int) -> None:
    """In any order, between bodies, interim responses, resets and promises: as the model says."""
    first = random.SystemRandom().randrange(1 << 32) if SOAK in os.environ else 20261202
    sys.stdout.write(f"seeds from {first} on\n")
    seen: Counter[str] = Counter()
    for seed in range(first, first + CONNECTIONS):
        dice = random.Random(seed)  # noqa: S311 - the same connection every time
        client = f"10.{seed >> 16 & 0x7F}.{seed >> 8 & 0xFF}.{seed & 0xFF}"
        server = Server(dice, Connection(bpf, port, dice.choice(STYLES), client=client).open())
        server.ask()
        read_all(bpf)
        said, frames = talk(server)
        seen += replay(bpf, server, said, frames, seed)
    assert set(seen) == {
        "transits_started",
        "response_interim",
        "response_no_exchange",
        "http2_reset",
        "http2_too_many",
    }


def replay(bpf: Harness, server: Server, said: bytes, frames: Said, seed: int) -> Counter[str]:
    """Send what the server says in segments, compare each with the model, and return all that was counted."""
    seen: Counter[str] = Counter()
    # A segment ends with a frame, or within a body: header blocks that are cut are others' story.
    heads = [(at, following) for (at, _, what), (following, _, _) in itertools.pairwise(frames) if what != "other"]
    start = 0
    origin = server.connection.server_seq
    while start < len(said):
        end = min(len(said), start + server.dice.choice([300, 1448, LARGEST]))
        end = next((at for at, following in heads if at < end < following), end)
        end = next((at for at, _, _ in frames if at < end < at + 20), end)
        end = end if end > start else min(len(said), start + LARGEST)
        bpf.forget_counts()
        server.connection.answer(said[start:end])
        expected, counts = judge(server, frames, start, end)
        found = [(f.stream, f.value, (f.seq - origin) % 2**32) for f in read_all(bpf)]
        told = f"seed {seed}, bytes {start} to {end}"
        assert found == expected, told
        counts["transits_started"] = len(expected)
        got = count_reasons(bpf)
        got.pop("tls_seen", None)
        assert got == +counts, told
        seen += +counts
        start = end
    return seen


def test_directions_are_kept_apart(bpf: Harness, port: int) -> None:
    """Two pods that call each other with the same ports and streams: a response is never the other one's."""
    one = Connection(bpf, port, client="10.244.1.10", server="10.244.2.20").open()
    other = Connection(bpf, port, client="10.244.2.20", server="10.244.1.10", seq=77).open()
    values = [make_value(), make_value()]
    one.ask(one.call(1, values[0]))
    other.ask(other.call(1, values[1]))
    read_all(bpf)
    other.answer(headers(other.server_encoder.encode(ANSWER)))
    one.answer(headers(one.server_encoder.encode(ANSWER)))
    assert [(f.direction, f.value) for f in read_all(bpf)] == [
        (Direction.RESPONSE, values[1]),
        (Direction.RESPONSE, values[0]),
    ]
