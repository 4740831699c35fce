"""Contexts of other formats over HTTP/2: read where name and value are literal, as neither has a signature."""

import itertools
from contextlib import closing

import pytest

from node_probe.transit import ContextFormat
from tests.compiled.loaded import loaded_programs
from tests.kernel.bpf_harness import Harness
from tests.kernel.http2_blocks import DYNAMIC, Literal, literal, string
from tests.kernel.http2_frames import headers
from tests.kernel.http2_talk import HUFFMAN, Connection, count_reasons, read_all, read_values
from tests.kernel.packets import PARENT_ID, TRACE_ID, TRACEPARENT
from tests.requirements import require_bcc, require_root

pytestmark = pytest.mark.bpf

START = b"\x83\x86"
"""POST, http."""

SHORT_ID = TRACE_ID[16:]
B3 = f"{TRACE_ID}-{PARENT_ID}-1"
UBER = f"{TRACE_ID}:{PARENT_ID}:0:1"
SINGLE = {
    "b3": [
        B3,
        f"{SHORT_ID}-{PARENT_ID}-1",
        f"{TRACE_ID}-{PARENT_ID}",
        f"{TRACE_ID}-{PARENT_ID}-d",
        f"{SHORT_ID}-{PARENT_ID}-1-{'a' * 16}",
    ],
    "uber-trace-id": [UBER, f"{SHORT_ID}:{PARENT_ID}:{'a' * 16}:1", "1:2:0:3"],
}
FORMATS = {"b3": ContextFormat.B3, "uber-trace-id": ContextFormat.UBER_TRACE_ID}


def make_block(*fields: tuple[str, str], coded: bool, kind: Literal = Literal.INCREMENTAL) -> bytes:
    """Return a block with the fields in full."""
    return START + b"".join(
        literal(string(name.encode(), coded=coded), string(value.encode(), coded=coded), kind)
        for name, value in fields
    )


@pytest.mark.parametrize("coded", [False, True], ids=["plain", "coded"])
@pytest.mark.parametrize("name", SINGLE)
def test_one_line(bpf: Harness, port: int, name: str, coded: bool) -> None:  # noqa: FBT001
    """The value as it was sent, in its coding."""
    connection = Connection(bpf, port).open()
    for number, (value, kind) in enumerate(itertools.product(SINGLE[name], Literal)):
        connection.ask(headers(make_block((name, value), coded=coded, kind=kind), 2 * number + 1))
        (found,) = read_all(bpf)
        assert found.format == FORMATS[name]
        assert found.coding == (HUFFMAN if coded else 0)
        trace_id, parent_id, *_ = value.replace(":", "-").split("-")
        assert found.ids == f"00-{trace_id.zfill(32)}-{parent_id.zfill(16)}-01"
        # In plain a text is as of HTTP/1: of a long value the end is kept behind the beginning.
        assert not coded or found.value == value


LINES = (("x-b3-traceid", TRACE_ID), ("x-b3-spanid", PARENT_ID), ("x-b3-sampled", "1"))


DECISIONS = [("1", ""), ("", ""), ("true", ""), ("d", ""), ("", "1"), ("0", "1"), ("1", "0")]
"""Values of X-B3-Sampled and X-B3-Flags, where they are there."""


@pytest.mark.parametrize("coded", [False, True], ids=["plain", "coded"])
@pytest.mark.parametrize("trace_id", [TRACE_ID, SHORT_ID], ids=["long", "short"])
def test_several_lines(bpf: Harness, port: int, trace_id: str, coded: bool) -> None:  # noqa: FBT001
    """Trace id, span id, and the first characters of decision and debug flag; lines in any order."""
    connection = Connection(bpf, port).open()
    streams = itertools.count(1, 2)
    for decision, debug in DECISIONS:
        fields = {"x-b3-traceid": trace_id, "x-b3-spanid": PARENT_ID, "x-b3-sampled": decision, "x-b3-flags": debug}
        for lines in itertools.permutations((name, value) for name, value in fields.items() if value):
            connection.ask(headers(make_block(*lines, coded=coded), next(streams)))
            (found,) = read_all(bpf)
            assert found.format == ContextFormat.B3MULTI
            assert found.ids == f"00-{trace_id.zfill(32)}-{PARENT_ID}-01"
            assert found.value[: len(trace_id)] == trace_id
            assert found.value[32:] == PARENT_ID + (decision[:1] or "\0") + (debug or "\0")


@pytest.mark.parametrize("coded", [False, True], ids=["plain", "coded"])
@pytest.mark.parametrize(
    "fields",
    [
        [("b3", "0")],
        [*LINES[:2], ("x-b3-sampled", "0")],
        [*LINES[:2], ("x-b3-sampled", "false")],
        [("x-b3-sampled", "0")],
    ],
    ids=["b3", "multi", "old multi", "multi alone"],
)
def test_unsampled_is_left_alone(
    bpf: Harness,
    port: int,
    fields: list[tuple[str, str]],
    coded: bool,  # noqa: FBT001
) -> None:
    """A decision of one character is read here, whatever its coding."""
    Connection(bpf, port).open().ask(headers(make_block(*fields, coded=coded)))
    assert read_values(bpf) == []
    assert count_reasons(bpf) == {"http2_requests": 1, "request_unsampled": 1}


@pytest.mark.parametrize(("name", "value"), [("b3", B3[:-1] + "0"), ("uber-trace-id", UBER[:-1] + "0")])
def test_unsampled_at_the_end_of_a_value(bpf: Harness, port: int, name: str, value: str) -> None:
    """In plain it is read here, of a code in user space."""
    connection = Connection(bpf, port).open()
    connection.ask(headers(make_block((name, value), coded=False)))
    assert count_reasons(bpf) == {"http2_requests": 1, "request_unsampled": 1}
    connection.ask(headers(make_block((name, value), coded=True), 3))
    assert read_values(bpf) == [(3, value)]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ([("b3", "1")], "request_no_context"),
        ([LINES[0], LINES[2]], "request_no_context"),
        ([LINES[1], LINES[2]], "request_no_context"),
    ],
    ids=["decision alone", "no span", "no trace"],
)
def test_no_ids(bpf: Harness, port: int, fields: list[tuple[str, str]], reason: str) -> None:
    """A context without both ids is none."""
    Connection(bpf, port).open().ask(headers(make_block(*fields, coded=True)))
    assert read_values(bpf) == []
    assert count_reasons(bpf) == {"http2_requests": 1, reason: 1}


@pytest.mark.parametrize("value", [B3, UBER, TRACE_ID, PARENT_ID])
def test_names_by_a_number_are_not_read(bpf: Harness, port: int, value: str) -> None:
    """A value without a signature under a number could be anybody's."""
    block = START + literal(DYNAMIC, string(value.encode(), coded=True)) + literal(DYNAMIC, string(value.encode()))
    Connection(bpf, port).open().ask(headers(block))
    assert read_values(bpf) == []


@pytest.mark.parametrize("coded", [False, True], ids=["plain", "coded"])
@pytest.mark.parametrize("name", ["b", "b33", "xb3", "ub3", "x-b3-traceids", "x-b3-trace", "uber-trace-i", "ot-uber"])
def test_names_that_are_almost_those(bpf: Harness, port: int, name: str, coded: bool) -> None:  # noqa: FBT001
    """Nothing is read under them."""
    fields = [(name, value) for value in (B3, UBER, TRACE_ID)]
    Connection(bpf, port).open().ask(headers(make_block(*fields, coded=coded)))
    assert read_values(bpf) == []
    assert count_reasons(bpf) == {"http2_requests": 1, "request_no_context": 1}


@pytest.mark.parametrize("coded", [False, True], ids=["plain", "coded"])
def test_traceparent_comes_before_the_others(bpf: Harness, port: int, coded: bool) -> None:  # noqa: FBT001
    """As with HTTP/1, whatever their order in the block."""
    fields = [("b3", B3), *LINES, ("uber-trace-id", UBER), ("traceparent", TRACEPARENT)]
    connection = Connection(bpf, port).open()
    for number, lines in enumerate((fields, fields[::-1])):
        connection.ask(headers(make_block(*lines, coded=coded), 2 * number + 1))
        (found,) = read_all(bpf)
        assert (found.format, found.value) == (ContextFormat.TRACEPARENT, TRACEPARENT)


EACH = {
    ContextFormat.TRACEPARENT: [("traceparent", TRACEPARENT)],
    ContextFormat.B3: [("b3", B3)],
    ContextFormat.B3MULTI: list(LINES),
    ContextFormat.UBER_TRACE_ID: [("uber-trace-id", UBER)],
}


@pytest.mark.parametrize("choice", EACH, ids=lambda choice: choice.name.lower())
def test_format_that_is_chosen_alone(port: int, choice: ContextFormat) -> None:
    """What the agent was not asked to read is not read of HTTP/2 either."""
    require_root()
    require_bcc()
    others = [field for context_format, lines in EACH.items() if context_format != choice for field in lines]
    with loaded_programs([choice]) as fds, closing(Harness(fds)) as bpf:
        connection = Connection(bpf, port).open()
        for number, coded in enumerate((False, True)):
            connection.ask(headers(make_block(*others, coded=coded), 4 * number + 1))
            connection.ask(headers(make_block(*others, *EACH[choice], coded=coded), 4 * number + 3))
        assert [(f.stream, f.format) for f in read_all(bpf)] == [(3, choice), (7, choice)]
        assert count_reasons(bpf) == {"http2_requests": 4, "request_no_context": 2, "transits_started": 2}
