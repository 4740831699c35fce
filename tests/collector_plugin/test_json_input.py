"""What msgspec leaves open of JSON from outside: texts that are skipped, halves of pairs, and lists without end."""

import threading

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_plugin.json_input import Allowance, check_utf8, decode_json, mend_surrogates
from hopspan.protowire import WireError

ALLOWANCE = Allowance()


class Item(msgspec.Struct):
    """Something counted."""

    name: str = ""

    def __post_init__(self) -> None:
        """Count it."""
        ALLOWANCE.take()


ITEMS = msgspec.json.Decoder(list[Item])


@pytest.mark.parametrize("length", [*range(65_530, 65_540), 131_072])
def test_letters_that_lie_across_two_chunks_are_whole(length: int) -> None:
    """Long texts are checked in parts."""
    check_utf8(b"a" * length + "😀".encode())
    for damaged in (b"a" * length + "😀".encode()[:3], b"a" * length + b"\xff", "ü".encode()[1:] + b"a" * length):
        with pytest.raises(WireError, match="UTF-8"):
            check_utf8(damaged)


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        (rb"\ud83d", rb"\ufffd"),
        (rb"\uDE00\ud83d", rb"\ufffd\ufffd"),
        (rb"\ud83d\uDE00", rb"\ud83d\uDE00"),
        (rb"\ud83d\ud83d\ude00x", rb"\ufffd\ud83d\ude00x"),
        (rb"\ud83dA", rb"\ufffdA"),
        (rb"\ud7ff\ue000", rb"\ud7ff\ue000"),
        (rb"\\ud83d\ud83d", rb"\\ud83d\ufffd"),
    ],
)
def test_halves_of_pairs_are_replaced(text: bytes, mended: bytes) -> None:
    """Whole pairs, and escapes beside the surrogates, are left alone."""
    assert mend_surrogates(text) == mended
    ALLOWANCE.set(2)
    (item,) = decode_json(ITEMS, b'[{"name":"' + text + b'"}]')
    assert item.name == msgspec.json.decode(b'"' + mended + b'"')


@given(st.lists(st.sampled_from([r"\ud83d", r"\ude00", r"\\", r"\"", "a", r"\u0041", "ü"])))
def test_mended_text_is_always_json(pieces: list[str]) -> None:
    """Whatever stands before an escape, even a backslash that is one itself, what is mended can be read."""
    text = '"' + "".join(pieces) + '"'
    assert isinstance(decode_json(msgspec.json.Decoder(str), text.encode()), str)


def test_objects_are_made_up_to_the_allowance() -> None:
    """The next one stops the decoding, and it can be told why."""
    ALLOWANCE.set(3)
    assert len(decode_json(ITEMS, b"[{},{},{}]")) == 3
    assert not ALLOWANCE.is_exceeded
    ALLOWANCE.set(3)
    with pytest.raises(WireError, match="too many objects"):
        decode_json(ITEMS, b"[{},{},{},{},{}]")
    assert ALLOWANCE.is_exceeded


def test_threads_do_not_share_an_allowance() -> None:
    """Two requests that are read at once do not count for each other."""
    ALLOWANCE.set(1)
    found: list[int] = []

    def read_five() -> None:
        ALLOWANCE.set(5)
        found.append(len(decode_json(ITEMS, b"[{},{},{},{},{}]")))

    thread = threading.Thread(target=read_five)
    thread.start()
    thread.join()
    assert found == [5]
    assert len(decode_json(ITEMS, b"[{}]")) == 1
