"""The wire record and the ids are permanent: golden files hold both directions, and a decoder meets any bytes."""

import contextlib
import ipaddress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_probe.transit import (
    MAX_EARLIER,
    Context,
    ContextFormat,
    Direction,
    Point,
    Stamp,
    Transit,
    TransitFlag,
    Tunnel,
    derive_id,
    derive_ids,
    message_key,
    transit_id,
)
from node_probe.wire_record import (
    ENDPOINTS,
    RecordError,
    RecordVersionError,
    check_record,
    decode_record,
    decode_shape,
    encode_record,
    read_ends,
    read_message_key,
    split_record,
    trim_record,
)
from tests.golden_files import list_stories, read_story

STORIES = list_stories("transits")
HEAD_BYTES = 96


def expected_transit(expected: dict[str, Any]) -> Transit:
    """Return the value that a golden file describes."""
    return Transit(
        context=Context(
            bytes.fromhex(expected["trace_id"]),
            bytes.fromhex(expected["parent_id"]),
            expected["trace_flags"],
            ContextFormat(expected["format"]),
        ),
        direction=Direction[expected["direction"].upper()],
        seq=expected["seq"],
        tsval=expected["tsval"],
        client_port=expected["client_port"],
        server_port=expected["server_port"],
        client_address=ipaddress.IPv6Address(expected["client_address"]).packed,
        server_address=ipaddress.IPv6Address(expected["server_address"]).packed,
        stamps=tuple(Stamp(Point(p), i, ns) for p, i, ns in expected["stamps"]),
        tunnel=Tunnel(expected["tunnel"]),
        flags=TransitFlag(expected["flags"]),
        vni=expected["vni"],
        outer_source=ipaddress.IPv6Address(expected["outer_source"]).packed,
        outer_destination=ipaddress.IPv6Address(expected["outer_destination"]).packed,
        stream_id=expected["stream_id"],
    )


def decode(data: bytes, expected: dict[str, Any]) -> Transit:
    """Decode with the ids that the golden file gives to the span."""
    ids = bytes.fromhex(expected["trace_id"]), bytes.fromhex(expected["parent_id"])
    return decode_record(data, *ids, expected["trace_flags"])


@pytest.mark.parametrize("story", STORIES)
def test_golden_record(story: str) -> None:
    """A golden record decodes to its value, and the value encodes to the record without what a later writer added."""
    data, expected = read_story("transits", story)
    transit = expected_transit(expected)
    assert decode(data, expected) == transit
    assert encode_record(transit) == data[: HEAD_BYTES + 16 * len(transit.stamps)]


@pytest.mark.parametrize("story", STORIES)
def test_golden_ids(story: str) -> None:
    """Key and ids of a golden transit are those in the file."""
    _, expected = read_story("transits", story)
    transit = expected_transit(expected)
    key = message_key(transit)
    assert key.hex() == expected["message_key"]
    assert transit_id(transit, expected["node"]).hex() == expected["transit_id"]
    for hop, identity in expected["hop_ids"].items():
        points = bytes(int(number) for number in hop.split("-"))
        assert derive_id(b"hop" + key + points).hex() == identity


@pytest.mark.parametrize("story", STORIES)
def test_record_tells_its_message_and_its_ends_undecoded(story: str) -> None:
    """Where many records wait, what is asked of each is read from its bytes."""
    data, expected = read_story("transits", story)
    transit = expected_transit(expected)
    ids = transit.context.trace_id, transit.context.parent_id
    check_record(data, *ids)
    assert read_message_key(data, *ids) == message_key(transit)
    first, last = transit.stamps[0], transit.stamps[-1]
    assert read_ends(data) == (first.point, first.monotonic_ns, last.point, last.monotonic_ns)
    assert trim_record(data + b"later") == trim_record(data) == encode_record(transit)


@pytest.mark.parametrize("story", STORIES)
def test_record_is_split_into_what_many_share_and_what_they_do_not(story: str) -> None:
    """The shape decodes to the transit but for its ids, its endpoints and its times, which are beside it."""
    data, expected = read_story("transits", story)
    transit = expected_transit(expected)
    parts, endpoints, times_ns = split_record(data)
    client_port, server_port, client, server = ENDPOINTS.unpack(endpoints)
    assert (client_port, server_port) == (transit.client_port, transit.server_port)
    assert (client, server) == (transit.client_address, transit.server_address)
    assert times_ns == tuple(stamp.monotonic_ns for stamp in transit.stamps)
    shape = decode_shape(parts)
    assert [(s.point, s.ifindex) for s in shape.stamps] == [(s.point, s.ifindex) for s in transit.stamps]
    for name in ("direction", "tunnel", "flags", "vni", "outer_source", "outer_destination"):
        assert getattr(shape, name) == getattr(transit, name), name
    assert shape.context.format == transit.context.format


@pytest.mark.parametrize("story", STORIES)
def test_every_prefix_is_refused(story: str) -> None:
    """A record cut anywhere is a RecordError."""
    data, expected = read_story("transits", story)
    whole = HEAD_BYTES + 16 * len(expected["stamps"])
    for length in range(whole):
        with pytest.raises(RecordError):
            decode(data[:length], expected)
        with pytest.raises(RecordError):
            check_record(data[:length], b"t" * 16, b"p" * 8)


@pytest.mark.parametrize(
    ("offset", "value", "complaint"),
    [
        (0, 2, "version"),
        (1, 2, "Direction"),
        (2, 0, "ContextFormat"),
        (2, 6, "ContextFormat"),
        (3, 0, "stamps"),
        (3, 9, "stamps"),
        (48, 200, "Tunnel"),
        (96, 0, "Point"),
        (96, 9, "Point"),
        (96, 3, "twice"),
        (96 + 15, 0xFF, "order"),
    ],
)
def test_unknown_value_is_named(offset: int, value: int, complaint: str) -> None:
    """A field with a value that version 1 does not have is refused, and the error names it."""
    data, expected = read_story("transits", "request_leaves_its_node")
    changed = data[:offset] + bytes([value]) + data[offset + 1 :]
    with pytest.raises(RecordError, match=complaint):
        decode(changed, expected)


def test_other_version_is_told_apart() -> None:
    """A record of another version has an error of its own, since it is counted under a reason of its own."""
    data, expected = read_story("transits", "request_leaves_its_node")
    with pytest.raises(RecordVersionError):
        decode(b"\x02" + data[1:], expected)


@pytest.mark.parametrize(
    ("trace_id", "parent_id"), [(bytes(16), b"p" * 8), (b"t" * 16, bytes(8)), (b"t" * 15, b"p" * 8), (b"t" * 16, b"")]
)
def test_invalid_ids_are_refused(trace_id: bytes, parent_id: bytes) -> None:
    """Ids that W3C calls invalid make no transit."""
    data, _ = read_story("transits", "request_leaves_its_node")
    with pytest.raises(RecordError):
        decode_record(data, trace_id, parent_id, 1)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_record_or_its_error(data: bytes) -> None:
    """A decoder returns a value or raises its one documented error."""
    for candidate in (data, b"\x01" + data, b"\x01\x00\x01\x01" + data):
        with contextlib.suppress(RecordError):
            decode_record(candidate, b"t" * 16, b"p" * 8, 1)


def test_id_is_never_all_zero() -> None:
    """The derived id of any data has a bit set, so W3C accepts it."""
    assert all(any(derive_id(number.to_bytes(4, "big"))) for number in range(1000))


def test_earlier_sendings_stand_above_the_flags() -> None:
    """So a reader that knows the flags alone reads on, and a record of a first sending is as it ever was."""
    _, expected = read_story("transits", STORIES[0])
    transit = msgspec.structs.replace(expected_transit(expected), flags=TransitFlag.PARTIAL, earlier=MAX_EARLIER)
    record = encode_record(transit)
    assert record[49] == 0xF1
    assert decode(record, expected) == transit
    assert encode_record(msgspec.structs.replace(transit, earlier=0))[49] == TransitFlag.PARTIAL


def test_ids_with_a_common_beginning() -> None:
    """They are those that are derived one by one."""
    ends = [number.to_bytes(4, "big") for number in range(100)]
    assert derive_ids(b"hop", ends) == [derive_id(b"hop" + end) for end in ends]
    assert derive_ids(b"hop", []) == []
