"""Context texts: the golden table, and the same question asked of another reader."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_probe.context import PLAIN, ContextError, read_context, read_traceparent
from node_probe.transit import ContextFormat
from tests.golden_files import GOLDEN

TABLE = json.loads((GOLDEN / "contexts" / "traceparent.json").read_text())
HEX = "0123456789abcdef"


@pytest.mark.parametrize("row", TABLE, ids=[row["story"] for row in TABLE])
def test_golden_traceparent(row: dict[str, object]) -> None:
    """A traceparent is read as W3C Trace Context says, or refused."""
    text = str(row["text"]).encode("latin-1")
    if row["context"] == "error":
        with pytest.raises(ContextError):
            read_traceparent(text)
        return
    context = read_traceparent(text)
    assert {
        "trace_id": context.trace_id.hex(),
        "parent_id": context.parent_id.hex(),
        "flags": context.flags,
    } == row["context"]
    assert context.format == ContextFormat.TRACEPARENT


def split_by_hand(text: bytes) -> tuple[str, str, int] | None:
    """Read a traceparent of version 00 step by step: the second opinion."""
    value = text.decode("latin-1").split("\r")[0].split("\n")[0].rstrip(" \t")
    parts = value.split("-")
    if [len(p) for p in parts] != [2, 32, 16, 2] or any(c not in HEX for p in parts for c in p):
        return None
    if parts[0] != "00" or set(parts[1]) == {"0"} or set(parts[2]) == {"0"}:
        return None
    return parts[1], parts[2], int(parts[3], 16)


@given(
    st.from_regex(rb"\A00-[0-9a-fA-F]{31,33}-[0-9a-f]{15,17}-[0-9a-g]{1,3}[ \t\r\n-]?[ab]?\Z")
    | st.binary(min_size=50, max_size=64)
)
def test_two_readers_agree(text: bytes) -> None:
    """The reader and a plain parser give the same answer to the same bytes."""
    try:
        context = read_traceparent(text)
    except ContextError:
        assert split_by_hand(text) is None
    else:
        assert split_by_hand(text) == (context.trace_id.hex(), context.parent_id.hex(), context.flags)


@pytest.mark.parametrize(("context_format", "coding"), [(2, PLAIN), (0, PLAIN), (1, 1)])
def test_what_this_version_does_not_read_is_refused(context_format: int, coding: int) -> None:
    """Formats and codings that are not built raise the documented error, not a wrong context."""
    with pytest.raises(ContextError, match="not read by this version"):
        read_context(context_format, coding, b"x" * 64)
