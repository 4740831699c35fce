"""Random connections of HTTP/2, for a comparison: what a client says, and what a full HPACK decoder reads of it."""

import random
from dataclasses import dataclass, field

from hpack import Decoder

from tests.kernel.http2_blocks import DYNAMIC, STYLES, Encoder, Field, Literal, call, huffman, string
from tests.kernel.http2_frames import (
    HEAD_BYTES,
    PREFACE,
    continuation,
    data,
    grpc_message,
    headers,
    ping,
    priority,
    rst_stream,
    settings,
    window_update,
)
from tests.kernel.http2_talk import make_value

NAME = b"traceparent"
LOOK_ALIKES = (b"x-copy", b"ce-traceparent", b"elastic-apm-traceparent", b"grpc-trace-bin")
FLAGS = ("01", "01", "01", "01", "00", "00", "03", "02", "09")


@dataclass(frozen=True)
class Piece:
    """One field of a block: where it lies in the block, and how it is written."""

    start: int
    end: int
    name: bytes
    value: bytes
    data: bytes

    @property
    def is_by_number(self) -> bool:
        """Tell a field of which name and value are a number of the dynamic table."""
        return self.data[0] >= 0x80 + DYNAMIC

    @property
    def is_hit(self) -> bool:
        """Tell a literal value in the form of a context, under a name that is the context's or not known to us."""
        plain, coded = string(self.value), string(self.value, coded=True)
        looks = self.value.startswith(b"00-") and len(self.value) == 55 and 35 <= len(huffman(self.value)) <= 41
        if self.data[0] >= 0x80 or not looks or not self.data.endswith((plain, coded)):
            return False
        has_full_name = self.data[0] in set(Literal)
        return self.name == NAME if has_full_name else _name_number(self.data) >= DYNAMIC

    @property
    def is_coded(self) -> bool:
        """Tell a value in Huffman's code."""
        return self.data.endswith(string(self.value, coded=True))


def _name_number(field_data: bytes) -> int:
    prefix = 0x3F if field_data[0] & 0x40 else 0x0F
    number = field_data[0] & prefix
    return number + field_data[1] if number == prefix else number  # up to 127 more are enough here


@dataclass
class Request:
    """One request: where its frame and its block begin in the stream, and what is in it."""

    stream: int
    frame_at: int
    block_at: int
    pieces: list[Piece]
    block_bytes: int
    is_continued: bool = False

    @property
    def truth(self) -> bytes | None:
        """Return the context that a server reads."""
        return next((piece.value for piece in self.pieces if piece.name == NAME), None)


@dataclass
class Talk:
    """What a client says on one connection, from the preface on."""

    seed: int
    has_copies: bool = True
    """Whether bodies may hold what was said before, as those of a proxy's log do."""

    dice: random.Random = field(init=False)
    said: bytearray = field(default_factory=bytearray)
    frames: list[int] = field(default_factory=list)
    """Where each frame begins."""

    requests: list[Request] = field(default_factory=list)
    resets: dict[int, int] = field(default_factory=dict)
    """Streams that are reset, by where the frame begins."""

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)  # noqa: S311 - the same connection every time
        self.style = self.dice.choice(STYLES)
        self.encoder = Encoder(self.style)
        self.decoder = Decoder()
        self.decoder.max_allowed_table_size = 1 << 16
        self.stream = 1
        self.last_value = make_value().encode()
        self.said += PREFACE
        self._add(settings((4, 65535)))
        for _ in range(self.dice.randrange(1, 40)):
            self._say_something()

    def _add(self, frame: bytes) -> None:
        self.frames.append(len(self.said))
        self.said += frame

    def _say_something(self) -> None:
        dice = self.dice
        choice = dice.randrange(13)
        if choice == 12:
            self._say_much()
        elif choice < 6:
            self._ask(self._fields())
        elif choice < 8:
            size = dice.choice([0, 1, 5, 100, 1000, 1448, 5000, 16384])
            copy = bytes(self.said[-size:]) if self.has_copies and size else b""
            body = dice.choice([bytes(size), dice.randbytes(size), copy])
            self._add(data(grpc_message(body), self.stream, end_stream=dice.randrange(2) == 0))
        elif choice == 8 and self.stream > 1:
            self.resets[len(self.said)] = self.stream - 2
            self._add(rst_stream(self.stream - 2))
        else:
            stream = self.stream
            self._add(dice.choice([window_update(), window_update(stream), ping(), priority(stream), settings()]))

    def _say_much(self) -> None:
        """Say more small frames, or more requests, than are looked at in a segment."""
        for _ in range(self.dice.choice([10, 40, 80, 150])):
            if self.dice.randrange(3):
                self._add(window_update())
            else:
                self._ask(call()[:4])

    def _fields(self) -> list[Field]:
        dice = self.dice
        fields = call(dice.choice([b"/cart.Cart/Get", b"/shop.Stock/List", b"/x/" + b"y" * dice.randrange(90)]))
        if dice.randrange(5):
            if dice.randrange(6):
                self.last_value = make_value(dice.choice(FLAGS)).encode()
            fields.append((NAME, self.last_value))
            if not dice.randrange(5):
                copies = (self.last_value, make_value().encode())
                fields.append((dice.choice(LOOK_ALIKES), dice.choice(copies)))
        for _ in range(dice.choice([0, 0, 1, 2, 6])):
            size = dice.choice([0, 3, 20, 80, 130, 300])
            filler = dice.choice([b"~" * size, b"a0" * (size // 2), make_value().encode()[1:] * (size // 54)])
            fields.insert(dice.randrange(4, len(fields) + 1), (b"x-%d" % dice.randrange(9), filler))
        return fields

    def _ask(self, fields: list[Field]) -> None:
        dice = self.dice
        if not dice.randrange(12):
            self.encoder.resize(dice.choice([0, 64, 200, 4096, 20_000]))
        block, pieces = self._encode(fields)
        padding = dice.choice([None, None, None, 0, 1, 60, 255])
        prioritised = dice.randrange(5) == 0
        block_at = HEAD_BYTES + (padding is not None) + 5 * prioritised
        cut = dice.randrange(1, len(block)) if not dice.randrange(15) else len(block)
        at = len(self.said)
        self.requests.append(Request(self.stream, at, at + block_at, pieces, cut, is_continued=cut < len(block)))
        whole = cut == len(block)
        self._add(headers(block[:cut], self.stream, padding=padding, priority=prioritised, end_headers=whole))
        if not whole:
            self._add(continuation(block[cut:], self.stream))
        self.stream += 2

    def _encode(self, fields: list[Field]) -> tuple[bytes, list[Piece]]:
        """Encode field by field, and require that the decoder reads the same of it."""
        block, pieces = self.encoder.encode([]), []
        for name, value in fields:
            coded = self.encoder.encode([(name, value)])
            pieces.append(Piece(len(block), len(block) + len(coded), name, value, coded))
            block += coded
        assert [tuple(item) for item in self.decoder.decode(block, raw=True)] == fields
        return block, pieces
