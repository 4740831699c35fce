"""Claims between plugins and agents of several versions: golden files hold both directions, and any bytes are met."""

import contextlib
import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopspan.flow_claims import (
    ENTRY_BYTES,
    Batch,
    Claim,
    ClaimError,
    ClaimVersionError,
    ExactClaim,
    Hello,
    IntervalClaim,
    decode_batch,
    decode_hello,
    encode_batch,
    encode_hello,
)
from tests.golden_files import list_stories, read_story

HELLO = Hello("worker-ä", "b1f0c0de-0000-4000-8000-000000000001")
HELLO_BYTES = b"\x01\x09worker-\xc3\xa4\x24b1f0c0de-0000-4000-8000-000000000001"

IDS: dict[str, Any] = {
    "trace_id": st.binary(min_size=16, max_size=16).filter(any),
    "parent_id": st.binary(min_size=8, max_size=8).filter(any),
    "trace_flags": st.integers(0, 0xFF),
    "client_address": st.binary(min_size=16, max_size=16),
    "client_port": st.integers(0, 0xFFFF),
}
NUMBERS = st.integers(0, 0xFFFFFFFF)
INTERVALS = st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)).map(sorted)
CLAIMS = st.one_of(
    st.builds(ExactClaim, direction=st.integers(0, 1), seq=NUMBERS, tsval=NUMBERS, **IDS),
    st.builds(
        lambda times_ns, **rest: IntervalClaim(start_ns=times_ns[0], end_ns=times_ns[1], **rest),
        INTERVALS,
        server_address=st.binary(min_size=16, max_size=16),
        server_port=st.integers(0, 0xFFFF),
        is_one_at_a_time=st.booleans(),
        **IDS,
    ),
)


def expected_claim(expected: dict[str, Any]) -> Claim:
    """Return the claim that a golden file describes."""
    values = dict(expected)
    for key in ("trace_id", "parent_id"):
        values[key] = bytes.fromhex(values[key])
    for key in ("client_address", "server_address"):
        if key in values:
            values[key] = ipaddress.IPv6Address(values[key]).packed
    return IntervalClaim(**values) if "start_ns" in values else ExactClaim(**values)


@pytest.mark.parametrize("story", list_stories("claims"))
def test_golden_batch(story: str) -> None:
    """A golden batch decodes to its claims, and the claims encode to the batch where all of it is understood."""
    data, expected = read_story("claims", story)
    claims = [expected_claim(claim) for claim in expected["claims"]]
    assert decode_batch(data) == Batch(claims, expected["unknown"])
    if not expected["unknown"]:
        assert encode_batch(claims) == data


@given(st.lists(CLAIMS, max_size=5))
def test_batch_comes_back_as_it_was(claims: list[Claim]) -> None:
    """Any claims are read as they were written, in their order."""
    assert decode_batch(encode_batch(claims)) == Batch(claims, 0)


def test_hello_has_its_bytes() -> None:
    """A Hello is read as it was written, and what a later version appends is ignored."""
    assert encode_hello(HELLO) == HELLO_BYTES
    assert decode_hello(HELLO_BYTES) == decode_hello(HELLO_BYTES + b"later") == HELLO


def test_hello_that_is_cut_or_nameless_is_refused() -> None:
    """No prefix of a Hello is one, and a node has a name."""
    for length in range(len(HELLO_BYTES)):
        with pytest.raises(ClaimError):
            decode_hello(HELLO_BYTES[:length])
    with pytest.raises(ClaimError, match="name"):
        decode_hello(b"\x01\x00\x01c")
    with pytest.raises(ClaimError, match="UTF-8"):
        decode_hello(b"\x01\x01\xff\x00")


def test_name_that_is_too_long_is_refused() -> None:
    """A length has one byte."""
    assert decode_hello(encode_hello(Hello("n" * 255, ""))).node == "n" * 255
    with pytest.raises(ClaimError, match="255"):
        encode_hello(Hello("n" * 256, ""))


def test_other_version_is_told_apart() -> None:
    """Either side ends the stream of a version that it does not know, and says so."""
    with pytest.raises(ClaimVersionError):
        decode_hello(b"\x02" + HELLO_BYTES[1:])
    with pytest.raises(ClaimVersionError):
        decode_batch(b"\x02" + bytes(3 + ENTRY_BYTES))


def test_batch_that_is_cut_is_refused() -> None:
    """Half an entry is a fault of the batch: nothing of it is taken."""
    data, _ = read_story("claims", "interval_of_a_span")
    for length in (0, 1, 3, 5, 99, len(data) - 1):
        with pytest.raises(ClaimError):
            decode_batch(data[:length])


@given(st.binary(max_size=300))
def test_any_bytes_are_claims_or_their_error(data: bytes) -> None:
    """A decoder returns a value or raises its one documented error."""
    for candidate in (data, b"\x01" + data, b"\x01\0\0\0" + data[:ENTRY_BYTES].ljust(ENTRY_BYTES, b"\x01")):
        with contextlib.suppress(ClaimError):
            decode_batch(candidate)
        with contextlib.suppress(ClaimError):
            decode_hello(candidate)
