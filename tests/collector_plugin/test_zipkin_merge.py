"""Arrays into one array: every span keeps its bytes and its place."""

import json

from hypothesis import given
from hypothesis import strategies as st

from collector_plugin.zipkin_merge import encode_array, merge_arrays

BLANKS = st.text(" \t\r\n", max_size=2)
VALUES = st.dictionaries(st.text(max_size=3), st.text(max_size=3) | st.integers() | st.just([1]), max_size=2)


def test_spans_keep_their_bytes() -> None:
    """Odd blanks and escapes inside a span stay; what stood around the spans does not matter."""
    assert merge_arrays([b'[{"id" : "\\u0031"}]', b" [ ]\n", b"", b'\r[{"id":"2"} , {"id":"3"}]']) == (
        b'[{"id" : "\\u0031"},{"id":"2"} , {"id":"3"}]'
    )


def test_a_single_array_is_passed_on_as_it_is() -> None:
    """Nothing is copied where nothing is merged."""
    data = b' [{"id":"1"}] '
    assert merge_arrays([data]) is data


def test_nothing_makes_an_empty_array() -> None:
    """A body without a byte is lawful to come, and none to send."""
    assert merge_arrays([]) == merge_arrays([b""]) == merge_arrays([b"[]", b"[ ]"]) == b"[]"


@given(st.lists(VALUES | st.dictionaries(st.sampled_from(["binaryAnnotations", "a"]), st.just('yAnnotations"'))))
def test_array_is_never_taken_for_the_first_format(values: list[object]) -> None:
    """A server looks for one text in the whole body; the value has it, the bytes have not."""
    data = encode_array(values)
    assert json.loads(data) == values
    assert b'yAnnotations"' not in data


@given(st.lists(st.tuples(st.lists(VALUES, max_size=3), BLANKS)))
def test_merged_arrays_hold_what_their_parts_held(parts: list[tuple[list[object], str]]) -> None:
    """Whatever the arrays are, the merged one is JSON and has all of it in order."""
    arrays = [(blanks + json.dumps(values, indent=len(blanks) or None) + blanks).encode() for values, blanks in parts]
    assert json.loads(merge_arrays(arrays)) == [value for values, _ in parts for value in values]
