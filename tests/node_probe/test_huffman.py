"""HPACK's Huffman code: RFC 7541's examples, and the same bytes given to the hpack package."""

import itertools

import pytest
from hpack.exceptions import HPACKDecodingError
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.huffman_table import decode_huffman
from hypothesis import given
from hypothesis import strategies as st

from node_probe.huffman import decode
from tests.node_probe.coded_contexts import encode

SHORT = frozenset(symbol for symbol in range(256) if REQUEST_CODES_LENGTH[symbol] <= 8)
"""The symbols whose codes have eight bits at most."""


def decode_by_hpack(coded: bytes) -> bytes | None:
    """Return what the hpack package makes of the bytes, where all symbols have short codes."""
    try:
        text = bytes(decode_huffman(coded))
    except HPACKDecodingError:
        return None
    return text if SHORT.issuperset(text) else None


@pytest.mark.parametrize(
    ("coded", "text"),
    [
        ("f1e3c2e5f23a6ba0ab90f4ff", b"www.example.com"),
        ("a8eb10649cbf", b"no-cache"),
        ("25a849e95bb8e8b4bf", b"custom-value"),
        ("4d83216b1d85a93f", b"traceparent"),
        ("", b""),
    ],
)
def test_examples(coded: str, text: bytes) -> None:
    """Those of RFC 7541, appendix C.4, and the name of the header that it is about here."""
    assert decode(bytes.fromhex(coded)) == text


@pytest.mark.parametrize("length", [0, 1, 2])
def test_all_short_texts(length: int) -> None:
    """Of every string of up to two bytes, the hpack package says the same."""
    for numbers in itertools.product(range(256), repeat=length):
        coded = bytes(numbers)
        assert decode(coded) == decode_by_hpack(coded), coded.hex()


@given(st.binary(max_size=64) | st.text("0123456789abcdefABCDEF-:%w", max_size=70).map(encode))
def test_two_decoders_agree(coded: bytes) -> None:
    """Whatever the bytes, the hpack package says the same."""
    assert decode(coded) == decode_by_hpack(coded)


@given(st.text([chr(symbol) for symbol in sorted(SHORT)], max_size=100))
def test_every_text_comes_back(text: str) -> None:
    """What is coded is decoded, if its symbols have codes of eight bits at most."""
    assert decode(encode(text)) == text.encode()


@pytest.mark.parametrize("symbol", sorted(set(range(256)) - SHORT))
def test_symbols_with_longer_codes(symbol: int) -> None:
    """They are refused wherever they stand: at the end, and before what could be read again."""
    for text in (chr(symbol), f"00-{chr(symbol)}", f"{chr(symbol)}00-00"):
        bits = "".join(f"{code:0{length}b}" for code, length in map(code_of, text.encode("latin-1")))
        bits += "1" * (-len(bits) % 8)
        assert decode(int(bits, 2).to_bytes(len(bits) // 8, "big")) is None


def code_of(symbol: int) -> tuple[int, int]:
    """Return the code of a symbol and how many bits it has."""
    return REQUEST_CODES[symbol], REQUEST_CODES_LENGTH[symbol]


@pytest.mark.parametrize("text", ["0" * length for length in range(1, 9)])
def test_padding(text: str) -> None:
    """Ones, up to seven: a zero among fewer than five bits is refused, as is a byte more."""
    coded = encode(text)
    assert decode(coded) == text.encode()
    padding = 8 * len(coded) - 5 * len(text)
    for bit in range(padding):
        changed = coded[:-1] + bytes([coded[-1] ^ 1 << bit])
        assert decode(changed) == decode_by_hpack(changed)
        assert decode(changed) is None or padding >= 5
    assert decode(coded + b"\xff") is None
    assert decode(coded + b"\xff\xff\xff\xff") is None
