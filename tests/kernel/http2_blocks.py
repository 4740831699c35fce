"""Makes header blocks as the encoders in use make them (RFC 7541), and single fields by hand.

What differs between them is which fields are put into the dynamic table, whether a name is given by its number, and
which strings are Huffman-coded.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from hpack.hpack import encode_integer
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

from tests.kernel.packets import TRACEPARENT

Field = tuple[bytes, bytes]

DYNAMIC = 62
"""The least number of a field in the dynamic table; those below are the static table's (RFC 7541 appendix A)."""


class Literal(IntEnum):
    """How a literal field begins (RFC 7541 section 6.2): the bits before its name's number."""

    INCREMENTAL = 0x40
    NOT_INDEXED = 0x00
    NEVER_INDEXED = 0x10


_HUFFMAN = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)


def huffman(text: bytes) -> bytes:
    """Return the code of the text, filled up with ones."""
    return _HUFFMAN.encode(text)


def read_huffman(code: bytes) -> bytes:
    """Return the text of a code. Raises hpack.HPACKDecodingError."""
    return decode_huffman(code)


def number(value: int, prefix_bits: int, first: int = 0) -> bytes:
    """Return an integer of RFC 7541 section 5.1 behind the bits of `first`."""
    coded = encode_integer(value, prefix_bits)
    coded[0] |= first
    return bytes(coded)


def string(text: bytes, *, coded: bool = False) -> bytes:
    """Return a string literal, plain or Huffman-coded."""
    body = huffman(text) if coded else text
    return number(len(body), 7, 0x80 if coded else 0) + body


def indexed(index: int) -> bytes:
    """Return a field of which name and value are known by their number."""
    return number(index, 7, 0x80)


def literal(name: int | bytes, value: bytes, kind: Literal = Literal.INCREMENTAL) -> bytes:
    """Return a literal field with a name by its number or plain, and `value`, a string literal."""
    bits = 6 if kind == Literal.INCREMENTAL else 4
    if isinstance(name, int):
        return number(name, bits, kind) + value
    return bytes([kind]) + name + value


def table_size(size: int) -> bytes:
    """Return the change of the dynamic table's size, which stands before all fields."""
    return number(size, 5, 0x20)


@dataclass(frozen=True)
class Style:
    """What one encoder does."""

    name: str
    coded_from: int | None = 0
    """Bytes from which on a string is Huffman-coded; None: it never is."""

    when_shorter: bool = True
    """Coded only where that is shorter."""

    not_indexed: frozenset[bytes] = frozenset()
    """Names whose fields are not put into the dynamic table."""

    names_in_full: bool = False
    """Fields whose name is not in the static table are literal to the last byte, and never put into the table."""

    kind_of_rest: Literal = Literal.NOT_INDEXED
    """How the fields are sent that are not put into the table."""


GO = Style("go")
"""golang.org/x/net/http2/hpack: all into the table, Huffman where it is shorter."""

NGHTTP2 = Style(
    "nghttp2",
    not_indexed=frozenset({b":path", b"content-length", b"authorization", b"cookie", b"set-cookie", b"location"}),
)
"""nghttp2 and oghttp2 (Envoy): as Go, without some fields that seldom come again."""

C_CORE = Style("c-core", coded_from=None, names_in_full=True)
"""grpc C-core: no Huffman; metadata of the user's are literal, name and value."""

NETTY = Style("netty", coded_from=512)
"""netty and grpc-java: Huffman for long strings alone."""

HYPER = Style("hyper", when_shorter=False)
"""Python's hpack: all strings Huffman-coded."""

SECRET = Style("secret", names_in_full=True, kind_of_rest=Literal.NEVER_INDEXED)
"""What sends metadata as never indexed (RFC 7541 section 7.1.3)."""

STYLES = (GO, NGHTTP2, C_CORE, NETTY, HYPER, SECRET)


class Encoder:
    """One direction of a connection: makes header blocks in a style, and keeps the dynamic table."""

    def __init__(self, style: Style = GO) -> None:
        self.style = style
        self.table = HeaderTable()
        self._resized = b""

    def resize(self, size: int) -> None:
        """Let the next block begin with a change of the table's size."""
        self.table.maxsize = size
        self._resized += table_size(size)

    def encode(self, fields: Iterable[Field]) -> bytes:
        """Return the next block."""
        block, self._resized = self._resized, b""
        return block + b"".join(self._encode(name, value) for name, value in fields)

    def _encode(self, name: bytes, value: bytes) -> bytes:
        match = self.table.search(name, value)
        in_full = self.style.names_in_full and (match is None or match[0] >= DYNAMIC) and not name.startswith(b":")
        if match and match[2] is not None and not in_full:
            return indexed(match[0])
        kind = Literal.INCREMENTAL
        if in_full or name in self.style.not_indexed:
            kind = self.style.kind_of_rest
        known = match[0] if match and not in_full else self._string(name)
        if kind == Literal.INCREMENTAL:
            self.table.add(name, value)
        return literal(known, self._string(value), kind)

    def _string(self, text: bytes) -> bytes:
        coded = self.style.coded_from is not None and len(text) >= self.style.coded_from
        if coded and self.style.when_shorter:
            coded = len(huffman(text)) < len(text)
        return string(text, coded=coded)


def call(path: bytes = b"/cart.Cart/Get") -> list[Field]:
    """Return the fields of a gRPC request, without a context."""
    return [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path),
        (b":authority", b"cart:80"),
        (b"content-type", b"application/grpc"),
        (b"user-agent", b"grpc/1.85.1"),
        (b"te", b"trailers"),
    ]


def traced(*, value: str = TRACEPARENT, name: bytes = b"traceparent", path: bytes = b"/cart.Cart/Get") -> list[Field]:
    """Return the fields of a gRPC request with a context."""
    return [*call(path), (name, value.encode())]


ANSWER: list[Field] = [(b":status", b"200"), (b"content-type", b"application/grpc")]
TRAILERS: list[Field] = [(b"grpc-status", b"0"), (b"grpc-message", b"")]
TRAILERS_ONLY: list[Field] = [*ANSWER, (b"grpc-status", b"12"), (b"grpc-message", b"unknown method")]
