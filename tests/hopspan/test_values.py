"""Durations and endpoints: a table of texts and what they mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopspan.values import (
    MAX_DURATION_NS,
    Endpoint,
    read_duration,
    read_endpoint,
    read_listen_endpoint,
    read_positive_duration,
    write_duration,
)

DURATIONS = [
    ("0", 0),
    ("0us", 0),
    ("1ns", 1),
    ("500us", 500_000),
    ("500µs", 500_000),
    ("500ms", 500 * 10**6),
    ("60s", 60 * 10**9),
    ("1.5s", 1_500_000_000),
    ("5m", 300 * 10**9),
    ("1h", 3600 * 10**9),
    ("1h1m1s1ms", 3661 * 10**9 + 10**6),
    ("8784h", 366 * 24 * 3600 * 10**9),
]

NO_DURATIONS = [
    "",
    "60",
    "60 seconds",
    "-1s",
    "s",
    "1d",
    "1s ",
    " 1s",
    "1e3s",
    "٣s",
    "1..5s",
    "8785h",
    "9" * 30 + "s",
]

ENDPOINTS = [
    ("localhost:4317", Endpoint("localhost", 4317)),
    ("otel_collector.svc.cluster.local:1", Endpoint("otel_collector.svc.cluster.local", 1)),
    ("10.0.0.1:65535", Endpoint("10.0.0.1", 65535)),
    ("[::1]:80", Endpoint("::1", 80)),
    ("[0:0:0:0:0:0:0:1]:80", Endpoint("::1", 80)),
]

NO_ENDPOINTS = [
    "",
    ":",
    ":4317",
    "localhost",
    "localhost:",
    "localhost:x",
    "localhost:-1",
    "localhost:65536",
    "localhost:" + "9" * 5000,
    "http://localhost:4317",
    "user:secret@localhost:4317",
    "::1:80",
    "[::1:80",
    "[fe80::zz]:80",
    "-host:80",
    "a b:80",
    "host:٣",
]


@pytest.mark.parametrize(("text", "expected_ns"), DURATIONS)
def test_duration_is_read_as_go_writes_it(text: str, expected_ns: int) -> None:
    """A duration is the sum of its parts, in nanoseconds."""
    assert read_duration(text) == expected_ns


@pytest.mark.parametrize("text", NO_DURATIONS)
def test_other_text_is_no_duration(text: str) -> None:
    """Numbers without unit, signs, foreign digits and more than a year are refused."""
    with pytest.raises(ValueError, match=r"duration|longer"):
        read_duration(text)


@pytest.mark.parametrize(
    ("text", "duration_ns"),
    [("0s", 0), ("999ns", 999), ("1500us", 1_500_000), ("60s", 60 * 10**9), ("10m", 600 * 10**9)],
)
def test_duration_is_written_in_its_largest_unit(text: str, duration_ns: int) -> None:
    """As people write it: minutes from the third on."""
    assert write_duration(duration_ns) == text


@given(st.integers(0, MAX_DURATION_NS))
def test_what_is_written_is_read(duration_ns: int) -> None:
    """A duration comes back as it was."""
    assert read_duration(write_duration(duration_ns)) == duration_ns


def test_zero_is_refused_where_it_makes_no_sense() -> None:
    """A timeout of zero would let nothing through."""
    assert read_positive_duration("1ns") == 1
    with pytest.raises(ValueError, match="longer than zero"):
        read_positive_duration("0s")


@pytest.mark.parametrize(("text", "expected"), ENDPOINTS)
def test_endpoint_is_host_and_port(text: str, expected: Endpoint) -> None:
    """An endpoint is read, and written back so that it reads the same."""
    assert read_endpoint(text) == expected
    assert read_endpoint(str(expected)) == expected


@pytest.mark.parametrize("text", NO_ENDPOINTS)
def test_other_text_is_no_endpoint(text: str) -> None:
    """Schemes, users, empty hosts and ports out of range are refused; a password is never repeated."""
    with pytest.raises(ValueError, match=r"host:port|IPv6") as caught:
        read_endpoint(text)
    assert "secret" not in str(caught.value)


def test_port_zero_is_for_listening_only() -> None:
    """Port 0 lets the system choose where we listen; nothing can be connected to it."""
    assert read_listen_endpoint("localhost:0").port == 0
    with pytest.raises(ValueError, match="port 0"):
        read_endpoint("localhost:0")


@given(st.text(max_size=40))
def test_any_text_gives_a_value_or_the_documented_error(text: str) -> None:
    """Readers answer every text with a value or ValueError."""
    for read in (read_duration, read_endpoint, read_listen_endpoint):
        try:
            read(text)
        except ValueError:
            continue
