"""Contexts in HPACK's Huffman code, beside the hpack package and grammars that are written by hand."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from node_probe.context import HUFFMAN, ContextError, read_context
from node_probe.transit import HEADER_FORMATS, Context, ContextFormat
from tests.node_probe.coded_contexts import encode, encode_multi, read_by_hand

TRACE, SHORT, SPAN, PARENT = (
    "0af7651916cd43dd8448eb211c80319c",
    "8448eb211c80319c",
    "b7ad6b7169203331",
    "05e3ac9a4f6e3b90",
)
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"

HEX = "0123456789abcdef"
TRACEPARENTS = st.builds(
    "00-{}-{}-{}".format,
    st.text(HEX, min_size=32, max_size=32),
    st.text(HEX, min_size=16, max_size=16),
    st.text(HEX, min_size=2, max_size=2),
)


def read(context_format: int, coded: bytes) -> Context | None:
    """Return the context, None in place of the documented error."""
    try:
        return read_context(context_format, HUFFMAN, coded)
    except ContextError:
        return None


@given(TRACEPARENTS)
@example("00-" + "0" * 32 + f"-{SPAN}-01")
@example(f"00-{TRACE}-" + "0" * 16 + "-01")
def test_every_traceparent_is_read(text: str) -> None:
    """Coded it says what it says plain; ids of zeros are none."""
    _, trace_id, parent_id, flags = text.split("-")
    expected = Context(bytes.fromhex(trace_id), bytes.fromhex(parent_id), int(flags, 16), ContextFormat.TRACEPARENT)
    is_valid = any(expected.trace_id) and any(expected.parent_id)
    assert read(ContextFormat.TRACEPARENT, encode(text)) == (expected if is_valid else None)


@given(TRACEPARENTS, st.data())
def test_every_flipped_bit_is_another_value_or_an_error(text: str, data: st.DataObject) -> None:
    """A bit that fell over makes what the other decoder and the grammar say, and never the value that was sent."""
    coded = bytearray(encode(text))
    bit = data.draw(st.integers(0, 8 * len(coded) - 1))
    coded[bit // 8] ^= 0x80 >> bit % 8
    found = read(ContextFormat.TRACEPARENT, bytes(coded))
    assert found == read_by_hand(ContextFormat.TRACEPARENT, bytes(coded))
    assert found is None or found != read(ContextFormat.TRACEPARENT, encode(text))


@pytest.mark.parametrize("text", [TRACEPARENT, TRACEPARENT[:-1] + "2"])
def test_all_bits_of_one_value(text: str) -> None:
    """The same of each bit of a value, and of each two neighbours."""
    number, length = int.from_bytes(encode(text), "big"), len(encode(text))
    for bit in range(8 * length):
        for bits in (1, 3):
            changed = (number ^ bits << bit) & (1 << 8 * length) - 1
            coded = changed.to_bytes(length, "big")
            assert read(ContextFormat.TRACEPARENT, coded) == read_by_hand(ContextFormat.TRACEPARENT, coded)


def test_what_is_cut_or_longer_is_refused() -> None:
    """Each prefix, and each byte behind the value, is an error."""
    coded = encode(TRACEPARENT)
    assert read(ContextFormat.TRACEPARENT, coded)
    assert not any(read(ContextFormat.TRACEPARENT, coded[:length]) for length in range(len(coded)))
    assert not any(read(ContextFormat.TRACEPARENT, coded + bytes([byte])) for byte in range(256))


PADDED = "0" * 16 + SHORT
VALID = [
    (ContextFormat.B3, encode(f"{TRACE}-{SPAN}-1-{PARENT}"), TRACE, 1),
    (ContextFormat.B3, encode(f"{SHORT}-{SPAN}-d"), PADDED, 1),
    (ContextFormat.B3, encode(f"{SHORT}-{SPAN}"), PADDED, 1),
    (ContextFormat.B3, encode(f"{TRACE}-{SPAN}-0"), TRACE, 0),
    (ContextFormat.B3, encode(f"{TRACE}-{SPAN}-0-{PARENT}"), TRACE, 0),
    (ContextFormat.B3MULTI, encode_multi(TRACE, SPAN), TRACE, 1),
    (ContextFormat.B3MULTI, encode_multi(SHORT, SPAN, "1"), PADDED, 1),
    (ContextFormat.B3MULTI, encode_multi(SHORT, SPAN, "t"), PADDED, 1),
    (ContextFormat.B3MULTI, encode_multi(TRACE, SPAN, "0"), TRACE, 0),
    (ContextFormat.B3MULTI, encode_multi(TRACE, SPAN, "f", "0"), TRACE, 0),
    (ContextFormat.B3MULTI, encode_multi(TRACE, SPAN, "0", "1"), TRACE, 1),
    (ContextFormat.UBER_TRACE_ID, encode(f"{TRACE}:{SPAN}:{PARENT}:1"), TRACE, 1),
    (ContextFormat.UBER_TRACE_ID, encode(f"{TRACE}%3A{SPAN}%3A0%3a03"), TRACE, 1),
    (ContextFormat.UBER_TRACE_ID, encode(f"{SHORT.upper()}:{SPAN}:0:2"), PADDED, 1),
    (ContextFormat.UBER_TRACE_ID, encode(f"{TRACE}:{SPAN}:0:0"), TRACE, 0),
    (ContextFormat.UBER_TRACE_ID, encode(f"{TRACE}:{SPAN}:0:4"), TRACE, 0),
]


@pytest.mark.parametrize(("context_format", "coded", "trace_id", "flags"), VALID)
def test_other_formats(context_format: ContextFormat, coded: bytes, trace_id: str, flags: int) -> None:
    """They are read as they are read plain, with what they say of sampling."""
    context = read_context(context_format, HUFFMAN, coded)
    assert (context.trace_id.hex(), context.parent_id.hex()) == (trace_id, SPAN)
    assert context.flags == flags
    assert context == read_by_hand(context_format, coded)


INVALID = [
    (ContextFormat.TRACEPARENT, encode(f"01-{TRACE}-{SPAN}-01")),
    (ContextFormat.TRACEPARENT, encode(f"{TRACEPARENT}-x")),
    (ContextFormat.TRACEPARENT, encode(f"{TRACEPARENT} ")),
    (ContextFormat.TRACEPARENT, encode(TRACEPARENT.upper())),
    (ContextFormat.TRACEPARENT, TRACEPARENT.encode()),
    (ContextFormat.B3, encode("0")),
    (ContextFormat.B3, encode(f"{TRACE}-{SPAN}-x")),
    (ContextFormat.B3, encode(f"{TRACE}-{SPAN}-1-{PARENT[1:]}")),
    (ContextFormat.B3, encode(f"{TRACE}-{SPAN}-1-")),
    (ContextFormat.B3MULTI, b"\x17\x0c1"),
    (ContextFormat.B3MULTI, encode_multi(TRACE, SPAN, "x")),
    (ContextFormat.B3MULTI, encode_multi(TRACE[1:], SPAN)),
    (ContextFormat.B3MULTI, encode_multi(TRACE, SPAN[1:])),
    (ContextFormat.B3MULTI, encode_multi(TRACE, SPAN) + b"\xff"),
    (ContextFormat.B3MULTI, encode_multi("0" * 32, SPAN)),
    (ContextFormat.UBER_TRACE_ID, encode(f"{TRACE}:{SPAN}:1")),
    (ContextFormat.UBER_TRACE_ID, encode(f"{TRACE}0:{SPAN}:0:1")),
    (ContextFormat.UBER_TRACE_ID, encode(f"{TRACE}:0:0:1")),
    (ContextFormat.UBER_TRACE_ID, encode(f"{TRACE}:{SPAN}:0:001")),
]


@pytest.mark.parametrize(("context_format", "coded"), INVALID)
def test_other_formats_are_strict(context_format: ContextFormat, coded: bytes) -> None:
    """What the format does not allow is an error that names the header and not its value."""
    assert read_by_hand(context_format, coded) is None
    with pytest.raises(ContextError, match=f"^{context_format.label} is malformed$"):
        read_context(context_format, HUFFMAN, coded)


@given(st.sampled_from(HEADER_FORMATS), st.binary(max_size=64) | st.text("0af-:%3Ad1", max_size=70).map(encode))
def test_any_bytes_are_read_as_by_hand(context_format: ContextFormat, coded: bytes) -> None:
    """Whatever the kernel hands out, both readers say the same."""
    assert read(context_format, coded) == read_by_hand(context_format, coded)


def test_formats_do_not_share_what_is_remembered() -> None:
    """The same bytes under another header are read as that header's, whatever was read before."""
    coded = encode(f"{TRACE}-{SPAN}-1")
    for _ in range(2):
        assert read(ContextFormat.B3, coded)
        assert read(ContextFormat.TRACEPARENT, coded) is None
