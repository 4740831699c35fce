"""Ids as people paste them and backends write them."""

import pytest

from traceview.ids import is_same_trace, read_padded_id, read_trace_id

LONG = bytes.fromhex("7c8f9710a684954c62a7941fd4a10321")
SHORT = bytes(8) + LONG[8:]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7c8f9710a684954c62a7941fd4a10321", LONG),
        ("7C8F9710A684954C62A7941FD4A10321", LONG),
        (" 0x7c8f9710a684954c62a7941fd4a10321\n", LONG),
        ("62a7941fd4a10321", SHORT),
        ("000000000000000062a7941fd4a10321", SHORT),
        ("1", bytes(15) + b"\1"),
    ],
)
def test_trace_ids(text: str, expected: bytes) -> None:
    """Either length and case, with or without what stands around or in front."""
    assert read_trace_id(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it has 0 hex digits, not 16 or 32"),
        ("0x", "it has 0 hex digits"),
        ("7c8f9710a684954c62a7941fd4a103210", "it has 33 hex digits"),
        ("7c8f9710-a684954c", "'-' is no hex digit"),
        ("7c8f9710a684954\N{FULLWIDTH DIGIT ONE}", "is no hex digit"),
        ("0000000000000000", "is all zeros"),
        ("00-7c8f9710a684954c62a7941fd4a10321-00f067aa0ba902b7-01", "its trace id is the second part"),
        ("g" * 1000, "'g' is no hex digit"),
    ],
)
def test_what_is_no_trace_id(text: str, words: str) -> None:
    """The error says what is wrong, at bounded length."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the words are checked
        read_trace_id(text)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("text", ["", "12345678901234567", "0x12", " 1", "\N{SUPERSCRIPT TWO}", "zz"])
def test_what_is_no_id(text: str) -> None:
    """Backends write digits alone."""
    with pytest.raises(ValueError, match="spanID is not 1 to 16 hex digits"):
        read_padded_id("spanID", text, 8)


def test_same_trace() -> None:
    """An id of 64 bits means the trace whose id ends in it; two of 128 bits must be equal."""
    assert is_same_trace(LONG, LONG)
    assert is_same_trace(LONG, SHORT)
    assert is_same_trace(SHORT, LONG)
    assert not is_same_trace(LONG, b"\1" + LONG[1:])
    assert not is_same_trace(LONG, bytes(16))
