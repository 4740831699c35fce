"""The fields of an HTTP/2 header block: which of them hold a context, and what is counted of the others."""

import itertools

import pytest

from tests.kernel.bpf_harness import Harness
from tests.kernel.http2_blocks import (
    DYNAMIC,
    Literal,
    call,
    huffman,
    indexed,
    literal,
    number,
    string,
    table_size,
)
from tests.kernel.http2_frames import headers
from tests.kernel.http2_talk import Connection, count_reasons, make_value, read_values
from tests.kernel.packets import SEQ, TRACEPARENT

pytestmark = pytest.mark.bpf

START = b"\x83\x86"
"""POST, http."""

NAME = b"traceparent"
VALUE = TRACEPARENT.encode()
OTHER = make_value().encode()
CODED, PLAIN = string(VALUE, coded=True), string(VALUE)

NUMBERS = itertools.cycle(range(0, 1 << 32, 1_000_003))
"""Where connections begin, each by itself."""

NO_CONTEXT = {"http2_requests": 1, "request_no_context": 1}


def ask(bpf: Harness, port: int, *fields: bytes) -> list[tuple[int, str]]:
    """Send a request with the fields behind its first ones, and return what was found."""
    connection = Connection(bpf, port, seq=next(NUMBERS)).open()
    connection.ask(headers(START + b"".join(fields)))
    return read_values(bpf)


@pytest.mark.parametrize("value", [CODED, PLAIN], ids=["coded", "plain"])
@pytest.mark.parametrize("kind", Literal)
@pytest.mark.parametrize(
    "name",
    [DYNAMIC, 63, 75, 76, 77, 78, 126, 127, 189, 190, 191, 1000, string(NAME), string(NAME, coded=True)],
    ids=[*map(str, (62, 63, 75, 76, 77, 78, 126, 127, 189, 190, 191, 1000)), "plain", "coded"],
)
def test_ways_to_write_the_field(bpf: Harness, port: int, name: int | bytes, kind: Literal, value: bytes) -> None:
    """A name by a number of the dynamic table, however long, or in full; each kind of literal, each coding."""
    assert ask(bpf, port, literal(name, value, kind), literal(string(b"x"), string(b"y"))) == [(1, TRACEPARENT)]
    assert count_reasons(bpf) == {"http2_requests": 1, "transits_started": 1}


OTHER_NAMES = [
    b"ce-traceparent",
    b"elastic-apm-traceparent",
    b"traceparent-",
    b"traceparenu",
    b"xraceparent",
    b"tracestate",
    b"x-request-id",
    b"traceparen",
]


@pytest.mark.parametrize("coded", [False, True], ids=["plain", "coded"])
@pytest.mark.parametrize("value", [CODED, PLAIN], ids=["coded value", "plain value"])
@pytest.mark.parametrize("name", OTHER_NAMES, ids=[name.decode() for name in OTHER_NAMES])
def test_other_names_are_no_context(
    bpf: Harness,
    port: int,
    name: bytes,
    value: bytes,
    coded: bool,  # noqa: FBT001
) -> None:
    """A name in full that is not the one disqualifies the value, and does not hide the right one."""
    assert ask(bpf, port, literal(string(name, coded=coded), value)) == []
    assert count_reasons(bpf) == NO_CONTEXT
    bpf.start_afresh()
    decoy = literal(string(name, coded=coded), string(OTHER, coded=True))
    for fields in ((decoy, literal(DYNAMIC, value)), (literal(DYNAMIC, value), decoy)):
        assert ask(bpf, port, *fields) == [(1, TRACEPARENT)]


@pytest.mark.parametrize("index", [1, 15, 28, 38, 58, 61])
def test_names_of_the_static_table_are_no_context(bpf: Harness, port: int, index: int) -> None:
    """Traceparent is not in it."""
    assert ask(bpf, port, literal(index, CODED)) == []
    assert count_reasons(bpf) == NO_CONTEXT


@pytest.mark.parametrize("coded", [False, True], ids=["plain", "coded"])
def test_two_that_differ_are_ambiguous(bpf: Harness, port: int, coded: bool) -> None:  # noqa: FBT001
    """Which of two fields with names we do not know is the context cannot be told, so none is taken."""
    fields = [literal(DYNAMIC + number, string(value, coded=coded)) for number, value in enumerate((VALUE, OTHER))]
    assert ask(bpf, port, *fields) == []
    assert count_reasons(bpf) == {"http2_requests": 1, "http2_ambiguous": 1}


def test_same_value_twice_is_one_context(bpf: Harness, port: int) -> None:
    """A copy of the context under another name says the same."""
    assert ask(bpf, port, literal(DYNAMIC, CODED), literal(DYNAMIC + 1, CODED)) == [(1, TRACEPARENT)]
    assert count_reasons(bpf) == {"http2_requests": 1, "transits_started": 1}


def test_value_that_the_encoder_sends_by_number(bpf: Harness, port: int) -> None:
    """A context that is sent the same again is one byte, which we cannot read: it is counted, not guessed."""
    connection = Connection(bpf, port).open()
    for stream in (1, 3):
        connection.ask(connection.call(stream, TRACEPARENT))
    assert read_values(bpf) == [(1, TRACEPARENT)]
    assert count_reasons(bpf) == {"http2_requests": 2, "transits_started": 1, "http2_indexed": 1}


def test_fields_by_number_beside_a_context(bpf: Harness, port: int) -> None:
    """Whatever they are, the context that is there is taken."""
    assert ask(bpf, port, indexed(62), indexed(63), literal(64, CODED), indexed(70)) == [(1, TRACEPARENT)]


NOT_VALUES = [
    b"",
    VALUE[:-1],
    VALUE + b"0",
    b"01" + VALUE[2:],
    VALUE.replace(b"-", b"_"),
    b"x" * 55,
]


@pytest.mark.parametrize("coded", [False, True], ids=["plain", "coded"])
@pytest.mark.parametrize("value", NOT_VALUES, ids=[value.decode() or "empty" for value in NOT_VALUES])
def test_values_that_are_none(bpf: Harness, port: int, value: bytes, coded: bool) -> None:  # noqa: FBT001
    """Under a name that we do not know they are no context."""
    found = ask(bpf, port, literal(DYNAMIC, string(value, coded=coded)))
    # A Huffman code of a right length and beginning is for user space to judge.
    right = coded and value.startswith(b"00-") and 35 <= len(huffman(value)) <= 41
    assert found == ([(1, value.decode())] if right else [])
    if not right:
        assert count_reasons(bpf) == NO_CONTEXT


@pytest.mark.parametrize(
    "before",
    [
        literal(string(b"cookie"), string(b"a=" + b"~" * 300)),
        literal(string(b"x-long-name" * 20, coded=True), string(b"")),
        literal(string(b""), string(b"")),
        literal(32, string(b"~" * 126)),
        literal(32, string(b"~" * 127)),
        literal(32, string(b"~" * 128)),
        literal(58, string(b"\x00\xff" * 60), Literal.NEVER_INDEXED),
        literal(string(b"x"), string(b"\x00\x16" * 30)),
        literal(string(b"x"), string(CODED * 3)),
        literal(string(b"x"), string(literal(DYNAMIC, PLAIN))),
        indexed(127) + indexed(128) + indexed(300),
        b"".join(indexed(index) for index in range(8, 62)),
    ],
)
def test_fields_before_it_are_stepped_over(bpf: Harness, port: int, before: bytes) -> None:
    """Whatever is in them, also bytes that look like the context, is not looked at."""
    assert ask(bpf, port, before, literal(DYNAMIC, CODED)) == [(1, TRACEPARENT)]


def test_change_of_the_table_before_all_fields(bpf: Harness, port: int) -> None:
    """One or two of them, of any length, stand before the first field (RFC 7541 section 4.2)."""
    for count, sizes in enumerate(((0,), (30,), (31,), (4096,), (0, 4096), (65536, 128)), 1):
        connection = Connection(bpf, port, seq=SEQ + 10_000 * count).open()
        block = b"".join(map(table_size, sizes)) + START + literal(DYNAMIC, CODED)
        connection.ask(headers(block, 2 * count + 1))
        assert read_values(bpf) == [(2 * count + 1, TRACEPARENT)]


@pytest.mark.parametrize(
    "end",
    [
        b"\x80",
        b"\xff\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
        b"\x7f\xff\xff\xff\xff\xff\xff\x01" + CODED,
        literal(DYNAMIC, number(500, 7) + b"short"),
        literal(number(200, 7) + b"short", b""),
        b"\x40",
        b"\x7e",
        b"\x7e\xff",
    ],
    ids=[
        "field 0",
        "long number",
        "long name's number",
        "long value",
        "long name",
        "no name",
        "no value",
        "no length",
    ],
)
def test_block_that_is_no_hpack(bpf: Harness, port: int, end: bytes) -> None:
    """A receiver ends the connection with an error; we take nothing, and count it."""
    assert ask(bpf, port, end) == []
    assert count_reasons(bpf) == {"http2_malformed": 1}


def test_traceresponse_of_a_request_is_no_context(bpf: Harness, port: int) -> None:
    """Its value looks the same, and its name says what it is."""
    assert ask(bpf, port, literal(string(b"traceresponse"), CODED)) == []


def test_call_of_no_trace(bpf: Harness, port: int) -> None:
    """Its fields alone are no context."""
    connection = Connection(bpf, port).open()
    connection.ask(headers(connection.encoder.encode(call())))
    assert read_values(bpf) == []
    assert count_reasons(bpf) == NO_CONTEXT
