"""The kernel's record: golden bytes to transits, and any bytes to a value or the one documented error."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_probe.kernel_record import KernelRecordError, decode_kernel_record
from tests.golden_files import list_stories, read_story


@pytest.mark.parametrize("story", list_stories("records"))
def test_golden_kernel_record(story: str) -> None:
    """A record decodes to its transits, or is refused for the reason in the file."""
    data, expected = read_story("records", story)
    if "error" in expected:
        with pytest.raises(KernelRecordError, match=expected["error"]):
            decode_kernel_record(data)
        return
    record = decode_kernel_record(data)
    assert (len(record.bad_contexts), record.unsampled) == (expected["bad_contexts"], expected["unsampled"])
    assert [
        {
            "parent_id": t.context.parent_id.hex(),
            "trace_flags": t.context.flags,
            "stream_id": t.stream_id,
            "tunnel": t.tunnel,
            "stamps": [[s.point, s.ifindex, s.monotonic_ns] for s in t.stamps],
        }
        for t in record.transits
    ] == expected["transits"]


def test_short_record_is_refused() -> None:
    """Every prefix of a record is refused."""
    data, _ = read_story("records", "request_at_four_points")
    for length in range(len(data)):
        with pytest.raises(KernelRecordError):
            decode_kernel_record(data[:length])


@pytest.mark.parametrize("offset", [1, 4])
def test_unknown_value_is_refused(offset: int) -> None:
    """A direction or a tunnel that this agent does not know is refused."""
    data, _ = read_story("records", "request_at_four_points")
    with pytest.raises(KernelRecordError, match="9"):
        decode_kernel_record(data[:offset] + b"\x09" + data[offset + 1 :])


@given(st.binary(min_size=256, max_size=544))
def test_any_bytes_are_a_kernel_record_or_its_error(data: bytes) -> None:
    """A decoder returns a value or raises its one documented error, whatever the fields hold."""
    for candidate in (data, b"\x01" + data[1:], b"\x01\x00\x01\x00\x00\x01" + data[6:]):
        with contextlib.suppress(KernelRecordError):
            decode_kernel_record(candidate)
