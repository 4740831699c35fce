"""The kernel's record: golden bytes to transits, and any bytes to a value or the one documented error."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_probe.context import ContextError
from node_probe.kernel_record import RECORD_BYTES, KernelRecordError, decode_kernel_record
from node_probe.transit import Transit
from tests.golden_files import list_stories, read_story


@pytest.mark.parametrize("story", list_stories("records"))
def test_golden_kernel_record(story: str) -> None:
    """A record decodes to its transit, to none, or is refused for the reason in the file."""
    data, expected = read_story("records", story)
    if "error" in expected:
        with pytest.raises(KernelRecordError, match=expected["error"]):
            decode_kernel_record(data)
        return
    if "bad_context" in expected:
        with pytest.raises(ContextError, match=expected["bad_context"]):
            decode_kernel_record(data)
        return
    assert describe(decode_kernel_record(data)) == expected["transit"]


def describe(transit: Transit | None) -> dict[str, Any] | None:
    if transit is None:
        return None
    return {
        "parent_id": transit.context.parent_id.hex(),
        "trace_flags": transit.context.flags,
        "stream_id": transit.stream_id,
        "tunnel": transit.tunnel,
        "stamps": [[s.point, s.ifindex, s.monotonic_ns] for s in transit.stamps],
    }


def test_record_of_another_length_is_refused() -> None:
    """Every prefix of a record, and one with something behind it."""
    data, _ = read_story("records", "request_at_four_points")
    for other in [data[:length] for length in range(len(data))] + [data + b"\0", data + data]:
        with pytest.raises(KernelRecordError, match=f"record has {len(other)} bytes"):
            decode_kernel_record(other)


@pytest.mark.parametrize("offset", [1, 4])
def test_unknown_value_is_refused(offset: int) -> None:
    """A direction or a tunnel that this agent does not know is refused."""
    data, _ = read_story("records", "request_at_four_points")
    with pytest.raises(KernelRecordError, match="9"):
        decode_kernel_record(data[:offset] + b"\x09" + data[offset + 1 :])


@given(st.binary(min_size=RECORD_BYTES - 1, max_size=RECORD_BYTES + 1))
def test_any_bytes_are_a_kernel_record_or_its_error(data: bytes) -> None:
    """A decoder returns a value or raises one of its two documented errors, whatever the fields hold."""
    for candidate in (data, b"\x01" + data[1:], b"\x01\x00\x01\x00\x00\x01" + data[6:]):
        with contextlib.suppress(KernelRecordError, ContextError):
            decode_kernel_record(candidate)
