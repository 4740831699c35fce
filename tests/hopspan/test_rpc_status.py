"""RetryInfo in a gRPC status: read from what a peer may send, and from what it should not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopspan.protowire import write_integer, write_length
from hopspan.rpc_status import MAX_STATUS_BYTES, RETRY_INFO_TYPE, read_retry_after_ns, write_status


def wrap(duration: bytes, type_url: bytes = RETRY_INFO_TYPE) -> bytes:
    """Return a Status whose RetryInfo holds `duration`."""
    return write_length(3, write_length(1, type_url) + write_length(2, write_length(1, duration)))


@given(st.integers(0, 10**18))
def test_round_trip(delay_ns: int) -> None:
    """What was written is read."""
    assert read_retry_after_ns(write_status(14, "busy", delay_ns)) == delay_ns


@pytest.mark.parametrize(
    ("status", "expected_ns"),
    [
        (b"", None),
        (write_integer(1, 8), None),
        (wrap(b""), 0),
        (wrap(write_integer(1, 2)), 2 * 10**9),
        (wrap(write_integer(2, 5)), 5),
        (wrap(write_integer(2, 5), b"type.googleapis.com/google.rpc.DebugInfo"), None),
        (wrap(b"", b"other") + wrap(write_integer(2, 5)), 5),
        (wrap(write_integer(1, -1)), None),
        (wrap(write_integer(2, 10**9)), None),
        (wrap(write_integer(1, 10**10)), None),
        (b"\x1a\xff\xff\xff\xff\x0f", None),
        (b"\x0b", None),
        (write_length(2, b"x" * MAX_STATUS_BYTES) + wrap(write_integer(2, 5)), None),
    ],
)
def test_status_is_read_with_care(status: bytes, expected_ns: int | None) -> None:
    """Absurd delays, false lengths and foreign details are no RetryInfo."""
    assert read_retry_after_ns(status) == expected_ns


@given(st.binary(max_size=60))
def test_garbage_is_no_retry_info(status: bytes) -> None:
    """Any bytes have an answer."""
    assert read_retry_after_ns(status) is None or status
