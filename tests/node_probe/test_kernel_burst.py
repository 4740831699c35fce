"""The kernel's record of a burst: golden bytes to a value, and any bytes to a value or the one documented error."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_probe.kernel_burst import BURST_OFFSET, Burst, decode_burst, is_burst
from node_probe.kernel_record import CONTEXT_OFFSET, RECORD_BYTES, KernelRecordError
from node_probe.transit import ContextFormat, TransitFlag
from tests.golden_files import list_stories, read_story


@pytest.mark.parametrize("story", list_stories("bursts"))
def test_golden_burst(story: str) -> None:
    """A record decodes to its burst."""
    data, expected = read_story("bursts", story)
    burst = decode_burst(data)
    assert burst is not None
    assert is_burst(data)
    assert describe(burst) == expected
    assert burst.flags == TransitFlag.TLS
    assert (burst.source_address[-4:], burst.destination_address[-4:]) == (b"\x0a\xf4\x01\x0a", b"\x0a\xf4\x02\x14")


def describe(burst: Burst) -> dict[str, Any]:
    left_out = ("flags", "source_address", "destination_address", "outer_source", "outer_destination")
    fields = {name: getattr(burst, name) for name in Burst.__struct_fields__ if name not in left_out}
    stamps = [[s.point, s.ifindex, s.monotonic_ns] for s in burst.stamps]
    return fields | {"records": list(burst.records), "stamps": stamps}


def test_record_with_a_context_is_no_burst() -> None:
    """What has a context of a header is another module's to decode."""
    data, _ = read_story("records", "request_at_four_points")
    assert not is_burst(data)
    assert decode_burst(data) is None


def test_unknown_kind_is_refused() -> None:
    """A kind of burst that this agent does not know is refused."""
    data, _ = read_story("bursts", "message_that_leaves_by_the_tunnel")
    with pytest.raises(KernelRecordError, match="kind 9"):
        decode_burst(data[:BURST_OFFSET] + b"\x09" + data[BURST_OFFSET + 1 :])


def test_record_of_another_length_is_refused() -> None:
    """Every prefix of a record, and one with something behind it."""
    data, _ = read_story("bursts", "message_that_leaves_by_the_tunnel")
    for other in [data[:length] for length in range(len(data))] + [data + b"\0"]:
        with pytest.raises(KernelRecordError, match=f"record has {len(other)} bytes"):
            decode_burst(other)


@given(st.binary(min_size=RECORD_BYTES - 1, max_size=RECORD_BYTES + 1))
def test_any_bytes_are_a_burst_or_its_error(data: bytes) -> None:
    """A decoder returns a value or raises its documented error, whatever the fields hold."""
    head = b"\x01\x00\x01\x04\x00\x01" + data[6:CONTEXT_OFFSET] + bytes([ContextFormat.FLOW])
    for candidate in (data, b"\x01" + data[1:], head + data[len(head) :]):
        with contextlib.suppress(KernelRecordError):
            decode_burst(candidate)
