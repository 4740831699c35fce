"""Context texts: the golden table, and the same question asked of another reader."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_probe.context import PLAIN, ContextError, read_context
from node_probe.transit import Context, ContextFormat
from tests.golden_files import GOLDEN

TABLE = json.loads((GOLDEN / "contexts" / "traceparent.json").read_text())
HEX = "0123456789abcdef"


def read_traceparent(text: bytes) -> Context:
    return read_context(ContextFormat.TRACEPARENT, PLAIN, text)


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


@pytest.mark.parametrize(("context_format", "coding"), [(0, PLAIN), (6, PLAIN), (5, 1), (1, 2)])
def test_what_this_version_does_not_read_is_refused(context_format: int, coding: int) -> None:
    """Formats and codings that are not built raise the documented error, not a wrong context."""
    with pytest.raises(ContextError, match="not read by this version"):
        read_context(context_format, coding, b"x" * 64)


TRACE, SHORT, SPAN, PARENT = (
    "0af7651916cd43dd8448eb211c80319c",
    "8448eb211c80319c",
    "b7ad6b7169203331",
    "05e3ac9a4f6e3b90",
)
PADDED = "0" * 16 + SHORT


def keep_uber(value: str) -> bytes:
    """Return what the kernel keeps of a uber-trace-id that a line ends: the head, and the last bytes of the value."""
    line = b"race-id: " + value.encode() + b"\r\nhost: cart\r\naccept: */*" + b" " * 64
    return line[9:65] + line[: 9 + len(value)][-8:]


def keep_multi(trace: str, span: str, sampled: str = "", flags: str = "") -> bytes:
    """Return what the kernel makes of the three or four headers: b3multi's text."""
    first = (trace + "\r\nx-b3-spanid: " + span + "\r\nhost: cart")[:32].encode()
    return (
        first
        + (span + "\r\naccept: */*   ")[:16].encode()
        + (sampled[:1] or "\0").encode()
        + (flags or "\0").encode()
    )


VALID = [
    (ContextFormat.B3, f"{TRACE}-{SPAN}-1-{PARENT}\r\n"[:64].encode(), TRACE),
    (ContextFormat.B3, f"{TRACE}-{SPAN}-d\r\nhost: cart".encode(), TRACE),
    (ContextFormat.B3, f"{TRACE}-{SPAN}\r\n".encode(), TRACE),
    (ContextFormat.B3, f"{SHORT}-{SPAN}-1-{PARENT}\r\n".encode(), PADDED),
    (ContextFormat.B3, f"{SHORT}-{SPAN} \t\r\n".encode(), PADDED),
    (ContextFormat.B3MULTI, keep_multi(TRACE, SPAN, "1"), TRACE),
    (ContextFormat.B3MULTI, keep_multi(SHORT, SPAN), PADDED),
    (ContextFormat.B3MULTI, keep_multi(SHORT, SPAN, "true", "1"), PADDED),
    (ContextFormat.B3MULTI, keep_multi(TRACE, SPAN, "d"), TRACE),
    (ContextFormat.UBER_TRACE_ID, keep_uber(f"{TRACE}:{SPAN}:{PARENT}:1"), TRACE),
    (ContextFormat.UBER_TRACE_ID, keep_uber(f"{TRACE}%3A{SPAN}%3A{PARENT}%3a03"), TRACE),
    (ContextFormat.UBER_TRACE_ID, keep_uber(f"{SHORT.upper()}:{SPAN}:0:1"), PADDED),
    (ContextFormat.UBER_TRACE_ID, keep_uber(f"{SHORT.lstrip('8')}:{SPAN}:0:3"), PADDED.replace("8448", "0448", 1)),
]


@pytest.mark.parametrize(("context_format", "text", "trace_id"), VALID)
def test_other_formats(context_format: ContextFormat, text: bytes, trace_id: str) -> None:
    """Ids of 64 bits are padded; what says nothing of sampling is sampled, as a traceparent's flags."""
    context = read_context(context_format, PLAIN, text)
    assert (context.trace_id.hex(), context.parent_id.hex()) == (trace_id, SPAN)
    assert (context.flags, context.format) == (1, context_format)


INVALID = [
    (ContextFormat.B3, f"{TRACE}-{SPAN}-1-{PARENT[:-1]}\r\n"),
    (ContextFormat.B3, f"{TRACE}-{SPAN}-x\r\n"),
    (ContextFormat.B3, f"{TRACE}-{SPAN}1\r\n"),
    (ContextFormat.B3, f"{TRACE}1-{SPAN}\r\n"),
    (ContextFormat.B3, f"{TRACE[1:]}-{SPAN}-1\r\n"),
    (ContextFormat.B3, f"{'0' * 32}-{SPAN}-1\r\n"),
    (ContextFormat.B3, f"{'0' * 16}-{SPAN}-1\r\n"),
    (ContextFormat.B3, f"{TRACE}-{'0' * 16}-1\r\n"),
    (ContextFormat.B3, f"{TRACE.upper()}-{SPAN}-1\r\n"),
    (ContextFormat.B3MULTI, keep_multi(TRACE[1:], SPAN, "1").decode()),
    (ContextFormat.B3MULTI, keep_multi("0" * 32, SPAN, "1").decode()),
    (ContextFormat.B3MULTI, keep_multi(TRACE, SPAN[1:], "1").decode()),
    (ContextFormat.B3MULTI, keep_multi(TRACE, "0" * 16, "1").decode()),
    (ContextFormat.B3MULTI, keep_multi(TRACE, SPAN, "x").decode()),
    (ContextFormat.UBER_TRACE_ID, keep_uber(f"{TRACE}:{SPAN}:1").decode()),
    (ContextFormat.UBER_TRACE_ID, keep_uber(f"{TRACE}0:{SPAN}:0:1").decode()),
    (ContextFormat.UBER_TRACE_ID, keep_uber(f"0:{SPAN}:0:1").decode()),
    (ContextFormat.UBER_TRACE_ID, keep_uber(f"{TRACE}:0:0:1").decode()),
    (ContextFormat.UBER_TRACE_ID, keep_uber(f"{TRACE}:{SPAN}:0:x").decode()),
    (ContextFormat.UBER_TRACE_ID, keep_uber("1").decode()),
]


UNSAMPLED = [
    (ContextFormat.TRACEPARENT, f"00-{TRACE}-{SPAN}-02\r\n"),
    (ContextFormat.B3, f"{TRACE}-{SPAN}-0\r\n"),
    (ContextFormat.B3, f"{SHORT}-{SPAN}-0-{PARENT}\r\n"),
    (ContextFormat.B3MULTI, keep_multi(TRACE, SPAN, "0").decode()),
    (ContextFormat.B3MULTI, keep_multi(SHORT, SPAN, "false").decode()),
    (ContextFormat.UBER_TRACE_ID, keep_uber(f"{TRACE}:{SPAN}:0:0").decode()),
]


@pytest.mark.parametrize(("context_format", "text"), UNSAMPLED)
def test_contexts_that_are_not_sampled(context_format: ContextFormat, text: str) -> None:
    """A context says so by its flags, whatever its format."""
    assert not read_context(context_format, PLAIN, text.encode()).is_sampled


@pytest.mark.parametrize(("context_format", "text"), INVALID)
def test_other_formats_are_strict(context_format: ContextFormat, text: str) -> None:
    """What the format does not allow is an error that names the header and not its value."""
    with pytest.raises(ContextError, match=f"^{context_format.label} is malformed$"):
        read_context(context_format, PLAIN, text.encode())


@given(st.sampled_from([2, 3, 4]), st.binary(max_size=64))
def test_any_bytes_end_in_an_answer(context_format: int, text: bytes) -> None:
    """Whatever the kernel hands out, ids have their sizes and are not zero, or there is an error."""
    try:
        context = read_context(context_format, PLAIN, text)
    except ContextError:
        return
    assert (len(context.trace_id), len(context.parent_id)) == (16, 8)
    assert any(context.trace_id)
    assert any(context.parent_id)
