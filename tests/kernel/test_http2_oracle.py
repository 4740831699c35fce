"""The kernel, which has no HPACK state, beside a full decoder on the same random connections.

Every context that is handed out is the decoder's. Every request whose frame begins in a segment is found there, or is
counted under the reason that the bytes of the segment give.
"""

import itertools
import os
import random
import sys
from collections import Counter

import pytest

from tests.kernel.bpf_harness import Harness
from tests.kernel.http2_frames import HEAD_BYTES
from tests.kernel.http2_talk import BLOCK_MAX, FRAMES_MAX, STREAMS_MAX, Connection, count_reasons, read_all
from tests.kernel.http2_traffic import NAME, Piece, Request, Talk
from tests.soak import SOAK, scale

pytestmark = pytest.mark.bpf

CONNECTIONS = scale(200)
SOAK_ASKED = SOAK in os.environ
"""Then each run has connections of its own."""

FRAMES_STEPPED = 64
"""Behind those that are looked at, so that the next segment's place is known."""

LARGEST = 3400
"""Of a payload: a test run takes one page."""

Context = tuple[int, str, int]
"""Stream, value, and where the frame begins in the stream of bytes."""


class Reader:
    """Says of each segment of a talk what has to come of it, with all that the encoder and the decoder know."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.requests = {request.frame_at: request for request in talk.requests}
        self.traced: set[int] = set()
        self.knows_place = True

    def read(self, start: int, end: int) -> tuple[list[Context], Counter[str]]:
        """Return the contexts and the reasons of the segment between two places."""
        frames = [at for at in self.talk.frames if start < at + HEAD_BYTES <= end]
        looked_at = self._choose(frames)
        found: list[Context] = []
        reasons: Counter[str] = Counter()
        for at in looked_at:
            if at in self.requests:
                self._judge(self.requests[at], end, found, reasons)
            elif at in self.talk.resets and self.talk.resets[at] in self.traced:
                self.traced.discard(self.talk.resets[at])
                reasons["http2_reset"] += 1
        is_full = -1 not in self._choose([*frames, -1])
        if is_full and any(looked_at[-1] < at < end for at in self.talk.frames):
            reasons["http2_too_many"] += 1
        self.knows_place &= len(frames) <= len(looked_at) + FRAMES_STEPPED
        return found, reasons

    def _choose(self, frames: list[int]) -> list[int]:
        """Return those that are looked at: so many of all, and of those that begin or reset a stream."""
        streams = itertools.accumulate(at in self.requests or at in self.talk.resets for at in [-1, *frames])
        return [at for at, before in zip(frames[:FRAMES_MAX], streams, strict=False) if before < STREAMS_MAX]

    def _judge(self, request: Request, end: int, found: list[Context], reasons: Counter[str]) -> None:
        visible = min(request.block_bytes, end - request.block_at, BLOCK_MAX)
        if visible <= 0:
            reasons["request_unfinished"] += 1
            return
        reasons["http2_continued"] += request.is_continued
        if request.pieces[0].start >= visible:
            return  # of a block that begins with a change of the table no field is to be seen
        reasons["http2_requests"] += 1
        pieces = [piece for piece in request.pieces if piece.end <= visible]
        hits = {(piece.value, piece.is_coded): piece for piece in pieces if piece.is_hit}
        if len(hits) > 1:
            reasons["http2_ambiguous"] += 1
        elif not hits:
            is_cut = visible < request.block_bytes or request.is_continued
            reasons[name_loss(pieces, visible, is_cut=is_cut)] += 1
        elif not is_let_through(*hits.values()):
            reasons["request_unsampled"] += 1
        else:
            ((value, _),) = hits
            found.append((request.stream, value.decode(), request.frame_at))
            self.traced.add(request.stream)


def name_loss(pieces: list[Piece], visible: int, *, is_cut: bool) -> str:
    """Name what is counted of a request in which no context was found."""
    if is_cut:
        return "request_too_long" if visible == BLOCK_MAX else "request_unfinished"
    return "http2_indexed" if any(piece.is_by_number for piece in pieces) else "request_no_context"


def is_let_through(piece: Piece) -> bool:
    """Whether the kernel takes the context for sampled: of a code it tells the flags 00 alone."""
    flags = int(piece.value[-2:], 16)
    return flags != 0 if piece.is_coded else bool(flags & 1)


def cut_talk(dice: random.Random, talk: Talk) -> list[tuple[int, int]]:
    """Return the places between which segments lie: frames as they are written, filled segments, or anything."""
    way = dice.randrange(3)
    edges = [0]
    length = len(talk.said)
    while edges[-1] < length:
        rest = length - edges[-1]
        size = {0: 1448, 1: dice.choice([1448, 1448, LARGEST, 536]), 2: dice.randrange(40, LARGEST)}[way]
        if way == 0:  # what is written at once: a few frames, from the start of one
            starts = [at for at in talk.frames if at > edges[-1]][dice.randrange(3) :]
            size = min(size, starts[0] - edges[-1]) if starts else size
        edges.append(edges[-1] + min(size, rest))
    return list(itertools.pairwise(edges))


def connect(bpf: Harness, port: int, seed: int) -> Connection:
    """Return a connection of a client of its own: on a port that is used again, old streams may be taken for new."""
    return Connection(
        bpf, port, client=f"10.{seed >> 16 & 0x7F}.{seed >> 8 & 0xFF}.{seed & 0xFF}", seq=seed * 7_654_321
    )


@pytest.mark.timeout(600 * max(1, scale(1)))
def test_kernel_and_decoder_agree(bpf: Harness, port: int) -> None:
    """Random encoders, fields, padding, table sizes, bodies, cuts: the same contexts, and reasons of all others."""
    first = random.SystemRandom().randrange(1 << 32) if SOAK_ASKED else 20261130
    sys.stdout.write(f"seeds from {first} on\n")
    seen: Counter[str] = Counter()
    for seed in range(first, first + CONNECTIONS):
        talk = Talk(seed)
        reader, connection = Reader(talk), connect(bpf, port, seed)
        origin = connection.client_seq
        for start, end in cut_talk(random.Random(seed), talk):  # noqa: S311 - the same cuts every time
            bpf.forget_counts()
            connection.ask(bytes(talk.said[start:end]))
            expected, reasons = reader.read(start, end)
            found = [(f.stream, f.value, (f.seq - origin) % 2**32) for f in read_all(bpf)]
            if not reader.knows_place:
                check_sound(talk, found)
                break
            told = f"seed {seed}, bytes {start} to {end} of {talk.style.name}"
            assert found == expected, told
            reasons["transits_started"] = len(expected)
            counts = count_reasons(bpf)
            counts.pop("tls_seen", None)  # random bytes of a body, where a segment begins
            assert counts == +reasons, told
            seen.update(+reasons)
        check_sound(talk, found)
    assert set(seen) == ALL_REASONS
    assert seen["transits_started"] > CONNECTIONS


ALL_REASONS = {
    "http2_requests",
    "transits_started",
    "request_unsampled",
    "request_unfinished",
    "request_too_long",
    "request_no_context",
    "http2_indexed",
    "http2_ambiguous",
    "http2_continued",
    "http2_too_many",
    "http2_reset",
}
"""What the random connections have to meet, else they would show less than they seem to."""


def check_sound(talk: Talk, found: list[Context]) -> None:
    """Require of contexts that they are the decoder's.

    A known limit: where the context comes by its number alone, another field of its form whose name comes by a number
    is taken for it.
    """
    truth = {(request.stream, (request.truth or b"").decode()) for request in talk.requests}
    truth |= {
        (request.stream, piece.value.decode())
        for request in talk.requests
        if any(piece.name == NAME and piece.is_by_number for piece in request.pieces)
        for piece in request.pieces
        if piece.is_hit
    }
    assert {(stream, value) for stream, value, _ in found} <= truth, f"seed {talk.seed}"


@pytest.mark.timeout(600 * max(1, scale(1)))
def test_nothing_false_behind_what_was_lost(bpf: Harness, port: int) -> None:
    """Segments are missed, so places are guessed: whatever is handed out is still the decoder's."""
    first = random.SystemRandom().randrange(1 << 32) if SOAK_ASKED else 20261201
    sys.stdout.write(f"seeds from {first} on\n")
    count = 0
    for seed in range(first, first + CONNECTIONS):
        talk = Talk(seed, has_copies=False)
        dice = random.Random(seed)  # noqa: S311 - the same losses every time
        connection = connect(bpf, port, seed)
        for start, end in cut_talk(dice, talk):
            piece = bytes(talk.said[start:end])
            if dice.randrange(4):
                connection.ask(piece)
            else:
                connection.lose(piece)
        found = read_all(bpf)
        check_sound(talk, [(f.stream, f.value, f.seq) for f in found])
        count += len(found)
    assert count > CONNECTIONS // 2
    assert bpf.counts()["http2_uncertain"] > 0
    bpf.sweep()
    assert bpf.list_awaited() == {}
