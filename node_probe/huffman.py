"""Decodes HPACK's Huffman code (RFC 7541 appendix B) of texts whose symbols have codes of at most eight bits.

Pure. Those symbols are all digits and letters, and - : % among others: all that a tracing context may have. The work
is zlib's: HPACK's code is canonical, as are those of deflate (RFC 1951 section 3.2.2), so that a block's head which
names the lengths of the codes is all that zlib has to be told. A tenth of what a decoder in Python takes.
"""

import zlib

_SYMBOLS = {
    5: b"012aceiost",
    6: b" %-./3456789=A_bdfghlmnpru",
    7: b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz",
    8: b"&*,;XZ",
}
"""By the length of their codes; the codes follow from the order of lengths and symbols."""

# Of eight bits two codes are left, with which all longer ones begin. HPACK's padding is ones (RFC 7541 section 5.2),
# so eight of them are deflate's end of block: the byte of ones that we put behind the text completes it where fewer
# than eight bits of padding stand, and is left over where more do. A symbol that takes a bit of it leaves no end.
_LONGER = 0xFF
_END_OF_BLOCK = 256
_END = b"\xff"

_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
"""Deflate fills its bytes from the lowest bit."""


def decode(coded: bytes) -> bytes | None:
    """Return the text; None where a symbol has a longer code, or the padding is not ones, of seven bits at most."""
    block = _copy_block()
    text = block.decompress(coded.translate(_MIRRORED) + _END)
    return text if block.eof and not block.unused_data and _LONGER not in text else None


# Which bits the lengths themselves are written in, and the order in which the head lists the lengths of those:
# RFC 1951 section 3.2.7.
_LENGTH_CODES = {0: "0", 5: "100", 6: "101", 7: "110", 8: "111"}
_LENGTHS_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
_NO_DISTANCE = 1


def _write_head() -> bytes:
    """Return the head of a block of deflate that has HPACK's codes, up to the block's first symbol."""
    lengths = [0] * (_END_OF_BLOCK + 1)
    for length, symbols in _SYMBOLS.items():
        for symbol in symbols:
            lengths[symbol] = length
    lengths[_LONGER] = lengths[_END_OF_BLOCK] = 8
    while (bits := _list_bits(lengths)) and len(bits) % 8:
        lengths.append(0)  # one more symbol that does not occur is one bit
    return bytes(int(bits[at : at + 8][::-1], 2) for at in range(0, len(bits), 8))


def _list_bits(lengths: list[int]) -> str:
    def number(value: int, bits: int) -> str:
        return f"{value:0{bits}b}"[::-1]

    last_block_of_own_codes = number(1, 1) + number(2, 2)
    counts = number(len(lengths) - 257, 5) + number(_NO_DISTANCE - 1, 5) + number(len(_LENGTHS_ORDER) - 4, 4)
    codes = "".join(number(len(_LENGTH_CODES.get(length, "")), 3) for length in _LENGTHS_ORDER)
    return last_block_of_own_codes + counts + codes + "".join(_LENGTH_CODES[n] for n in [*lengths, 0])


_block = zlib.decompressobj(wbits=-9)  # no header, the smallest window
_block.decompress(_write_head())
_copy_block = _block.copy
