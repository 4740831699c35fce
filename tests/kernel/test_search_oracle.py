"""The kernel's search and a plain Python reader give the same answer to the same random messages."""

import itertools
import random
import re

import pytest

from tests.kernel.bpf_harness import Harness
from tests.kernel.packets import PARENT_ID, TRACE_ID, TRACEPARENT, request
from tests.soak import scale

pytestmark = pytest.mark.bpf

ROUNDS = scale(20_000)
BLOCK_MAX = 8192
WHITE_SPACE_MAX = 8
SEGMENTS_MAX = 8

NAMES = [
    *("traceparent", "Traceparent", "TRACEPARENT", "traceparent", "b3", "B3", "b3", "uber-trace-id", "Uber-Trace-Id"),
    *("x-b3-traceid", "X-B3-TraceId", "x-b3-spanid", "X-B3-SpanId", "x-b3-sampled", "X-B3-Sampled", "X-B3-Flags"),
    *("x-b3-parentspanid", "tracestate", "xtraceparent", "ce-traceparent", "elastic-apm-traceparent", "traceparen"),
    *("traceparents", "b33", "xb3", "uber-trace-i", "x-b3-trace-id", "a", "u", "x", ""),
]
LINE_ENDS = ["\r\n", "\r\n", "\r\n", "\n", "\r"]
SHORT_ID = TRACE_ID[16:]
VALUES = [
    TRACEPARENT,
    *(TRACEPARENT[:-2] + flags for flags in ("00", "0b", "0a", "03")),
    TRACEPARENT.replace("-", ":"),
    TRACEPARENT[:30],
    *(f"{TRACE_ID}-{PARENT_ID}{rest}" for rest in ("", "-1", "-0", "-d", f"-1-{PARENT_ID}", f"-0-{PARENT_ID}")),
    *(f"{SHORT_ID}-{PARENT_ID}{rest}" for rest in ("", "-1", "-0", f"-1-{PARENT_ID}")),
    *(TRACE_ID, SHORT_ID, PARENT_ID, PARENT_ID, "1", "0", "1", "0", "d", "true", "false"),
    *(f"{TRACE_ID}:{PARENT_ID}:0:{flags}" for flags in ("1", "0", "3", "2", "01", "b", "x")),
    f"{SHORT_ID}%3A{PARENT_ID}%3A{PARENT_ID}%3A1",
    "x" * 55,
    "x" * 90,
    "",
]


def make_message(dice: random.Random) -> bytes:
    """Return something like a request: lines of all kinds, ends of all kinds, cut anywhere."""
    lines = ["GET /" + "p" * dice.randrange(40) + " HTTP/1.1", *[make_line(dice) for _ in range(dice.randrange(8))]]
    text = "".join(line + dice.choice(LINE_ENDS) for line in lines)
    text += dice.choice(["", "\r\n", "\n"]) + dice.choice(["", "body\r\ntraceparent: " + TRACEPARENT + "\r\n"])
    return text[: dice.randrange(20, len(text) + 40)].encode("latin-1")


def make_line(dice: random.Random) -> str:
    space = dice.choice(["", " ", " ", " ", "\t", " " * WHITE_SPACE_MAX, " " * (WHITE_SPACE_MAX + 2)])
    filler = "".join(chr(dice.choice([9, 11, 13, 32, 58, 97, 122, 255])) for _ in range(dice.randrange(12)))
    return dice.choice(NAMES) + dice.choice([":", ":", ":", ":", " :", "="]) + space + dice.choice([*VALUES, filler])


class Block:
    """The known lines of a message's header block, read one after the other, and whether its end was met."""

    def __init__(self, message: bytes) -> None:
        self.message = message
        self.lines: dict[str, int] = {}
        self.repeated = self.is_complete = self.is_unsampled = False
        position = message.find(b"\n") + 1
        while position:
            if message[position : position + 1] in {b"\r", b"\n"}:
                self.is_complete = True
                return
            if self._is_usual_and_unsampled(position):
                self.is_unsampled = True
                return
            if match := KNOWN_NAME.match(message, position):
                name = match[1].decode().lower()
                self.repeated |= name in self.lines
                self.lines[name] = position
            position = message.find(b"\n", position) + 1

    def _is_usual_and_unsampled(self, position: int) -> bool:
        match = USUAL_TRACEPARENT.match(self.message, position)
        return match is not None and not (match[1][0] ^ match[1][0] >> 6) & 1

    def value(self, name: str) -> bytes:
        """Return what follows a line's name and white space, to the end of the message; empty without such a line."""
        if name not in self.lines:
            return b""
        rest = self.message[self.lines[name] + len(name) + 1 :]
        return re.sub(rb"^[ \t]{0,%d}" % WHITE_SPACE_MAX, b"", rest)


MULTI = ("x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags")
KNOWN_NAME = re.compile(rb"(traceparent|b3|uber-trace-id|%b):" % "|".join(MULTI).encode(), re.IGNORECASE)
PRINTABLE = rb"[\x20-\x7f\xa0-\xff]"
USUAL_TRACEPARENT = re.compile(
    rb"traceparent: %b{2}-%b{48}.-.(.)." % (PRINTABLE, PRINTABLE), re.IGNORECASE | re.DOTALL
)
"""One with one space in front, and one byte behind."""


def is_odd(digit: int) -> bool:
    """Judge a digit as the kernel does; what is no digit at all is judged in user space."""
    return bool(digit & 1) != (digit > ord("9"))


def judge(message: bytes) -> str:
    """Say what the kernel has to count of a message."""
    block = Block(message)
    cut = "request_bad_context" if block.is_complete else "request_unfinished"
    if block.is_unsampled or block.repeated:
        return "request_unsampled" if block.is_unsampled else "request_bad_context"
    if "traceparent" in block.lines:
        return judge_traceparent(block.value("traceparent"))
    if "b3" in block.lines:
        return judge_b3(block.value("b3"), cut)
    if {"x-b3-traceid", "x-b3-sampled"} & block.lines.keys():
        return judge_multi(block, cut)
    if "uber-trace-id" in block.lines:
        return judge_uber(block.value("uber-trace-id"), cut)
    return "request_no_context" if block.is_complete else "request_unfinished"


def judge_traceparent(value: bytes) -> str:
    if len(value) < len(TRACEPARENT) + 1:
        return "request_unfinished"
    if value[2:3] + value[35:36] + value[52:53] != b"---":
        return "request_bad_context"
    return "transits_started" if is_odd(value[54]) else "request_unsampled"


def judge_b3(value: bytes, cut: str) -> str:
    if not value:
        return "request_unfinished"
    if len(value) > 1 and value[1] <= ord(" "):
        return "request_unsampled" if value[:1] == b"0" else "request_no_context"
    ids = 33 if value[16:17] == b"-" else 49
    if len(value) < ids + 2:
        return cut
    if value[ids - 17 : ids - 16] != b"-":
        return "request_bad_context"
    return "request_unsampled" if value[ids : ids + 2] == b"-0" else "transits_started"


def judge_multi(block: Block, cut: str) -> str:
    trace, span, sampled, flags = map(block.value, MULTI)
    if sampled[:1] in {b"0", b"f"} and flags[:1] != b"1":
        return "request_unsampled"
    if not trace or not span:
        return "request_no_context" if block.is_complete else "request_unfinished"
    return cut if min(len(trace), len(span)) < 17 else "transits_started"


def judge_uber(value: bytes, cut: str) -> str:
    if not value:
        return "request_unfinished"
    end = next((at for at, byte in enumerate(value[:80]) if byte <= ord(" ")), None)
    if not end:
        return "request_bad_context" if len(value) >= 80 else cut
    digit = value[end - 1]
    number = digit & 15 if digit <= ord("9") else (digit & 7) + 9
    return "transits_started" if number & 3 else "request_unsampled"


VERDICTS = {
    "request_unfinished",
    "request_no_context",
    "request_bad_context",
    "request_unsampled",
    "transits_started",
}


def count_verdict(bpf: Harness, frames: list[bytes]) -> dict[str, int]:
    """Send the segments of one message, and return what was counted, also of what has to be swept for that."""
    bpf.forget_counts()
    for frame in frames:
        bpf.watch("pod_egress", frame)
    counts = bpf.counts()
    if not counts:
        bpf.sweep()
        counts = bpf.counts()
    return {reason: count for reason, count in counts.items() if reason != "transits_swept"}


@pytest.mark.timeout(600 * max(1, scale(1)))
def test_kernel_and_reader_agree(bpf: Harness, port: int) -> None:
    """Over 20,000 random messages both give the same verdict, and every packet passes unchanged."""
    dice = random.Random(20261124)  # noqa: S311 - the same messages every time
    seen = set()
    for number in range(ROUNDS):
        message = make_message(dice)
        if not number % 5000:
            bpf.start_afresh()  # before the transits, which never end here, are too many
        frame = request(message, client_port=port, seq=number * 10_000 % 2**32, ack=number)
        expected = judge(message)
        assert count_verdict(bpf, [frame]) == {expected: 1}, message
        seen.add(expected)
    assert seen == VERDICTS


def cut_anywhere(dice: random.Random, message: bytes) -> list[bytes]:
    """Return the message in up to eight pieces, of which the first shows what it is."""
    places = sorted(dice.sample(range(4, len(message)), min(dice.randrange(SEGMENTS_MAX), len(message) - 4)))
    return [message[start:end] for start, end in zip([0, *places], [*places, len(message)], strict=True)]


def judge_pieces(pieces: list[bytes]) -> tuple[str, int]:
    """Say what has to be counted, and at which piece: each is judged with those before it."""
    whole = b"".join(pieces)
    for number, end in enumerate(itertools.accumulate(map(len, pieces)), 1):
        verdict = judge(whole[:end])
        if verdict != "request_unfinished":
            return verdict, number
    return "request_unfinished" if len(pieces) < SEGMENTS_MAX else "request_too_long", len(pieces)


@pytest.mark.timeout(600 * max(1, scale(1)))
def test_kernel_and_reader_agree_on_segments(bpf: Harness, port: int) -> None:
    """The same over up to eight segments, cut anywhere; no packet stays awaited."""
    dice = random.Random(20261125)  # noqa: S311 - the same messages every time
    seen = set()
    for number in range(ROUNDS // 2):
        pieces = cut_anywhere(dice, make_message(dice))
        if not number % 5000:
            bpf.start_afresh()
        starts = [0, *itertools.accumulate(map(len, pieces))]
        frames = [
            request(piece, client_port=port, seq=(number * 10_000 + start) % 2**32, ack=number)
            for piece, start in zip(pieces, starts, strict=False)
        ]
        # What comes behind the verdict may itself begin like a request: a header's name like the method TRACE.
        expected, needed = judge_pieces(pieces)
        assert count_verdict(bpf, frames[:needed]) == {expected: 1}, pieces
        seen.add(expected)
    assert seen == VERDICTS | {"request_too_long"}
    bpf.sweep()
    assert bpf.list_awaited() == {}


@pytest.mark.parametrize("depth", range(16, 80))
def test_every_alignment(bpf: Harness, port: int, depth: int) -> None:
    """The search goes eight bytes at a time; the context is found wherever it lies among them."""
    line = b"GET / HTTP/1.1\r\nx: " + b"a" * depth + b"\r\ntraceparent: " + TRACEPARENT.encode() + b"\r\n\r\n"
    bpf.watch("pod_egress", request(line, client_port=port))
    bpf.watch("pod_ingress", request(line, client_port=port))
    (transit,) = bpf.read_transits()
    assert transit.context.parent_id.hex() == PARENT_ID
