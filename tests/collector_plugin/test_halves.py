"""The role of a node in a message, by the first and last point that it saw."""

import msgspec
import pytest

from collector_plugin.courses import Role
from collector_plugin.halves import MAX_TIME_NS, Half, judge_record
from collector_plugin.reasons import TransitReason
from node_probe.transit import Stamp, attempts_key, message_key
from node_probe.wire_record import HEAD_BYTES, STAMP_BYTES, RecordError, encode_record
from tests.collector_plugin.builders import (
    MONOTONIC_NS,
    NODE_1,
    REQUEST,
    RESPONSE,
    US,
    make_half,
    make_raw,
    make_transit,
)

ROLES = [
    ([1, 2, 3, 4], Role.SENDER),
    ([2, 4], Role.SENDER),
    ([4], Role.SENDER),
    ([2, 3], Role.SENDER),
    ([5, 6, 7, 8], Role.RECEIVER),
    ([5], Role.RECEIVER),
    ([6, 7], Role.RECEIVER),
    ([1, 2, 7, 8], Role.WHOLE),
    ([2, 7], Role.WHOLE),
    ([5, 4], Role.PASSING),
]


@pytest.mark.parametrize(("points", "role"), ROLES)
def test_role_follows_from_first_and_last_point(points: list[int], role: Role) -> None:
    """A swept transit has fewer points and the same role."""
    transit = make_transit({point: n for n, point in enumerate(points)})
    assert make_half(NODE_1, transit).role is role


def test_client_side_sends_requests_and_receives_responses() -> None:
    """The near half is the sender of a request, the receiver of a response, and a message that stays on its node."""
    table = [
        ({2: 0, 4: 1}, REQUEST, True),
        ({5: 0, 7: 1}, REQUEST, False),
        ({2: 0, 4: 1}, RESPONSE, False),
        ({5: 0, 7: 1}, RESPONSE, True),
        ({2: 0, 7: 1}, REQUEST, True),
        ({2: 0, 7: 1}, RESPONSE, True),
    ]
    for points, direction, is_near in table:
        assert make_half(NODE_1, make_transit(points, direction=direction)).is_near is is_near


def test_attempts_share_all_but_the_tsval() -> None:
    """Two sendings of a message differ in their key, and not in their attempts key; other messages in both."""
    first, second = message_key(make_transit({2: 0})), message_key(make_transit({2: 0}, tsval=101))
    other = message_key(make_transit({2: 0}, seq=1))
    assert first != second
    assert attempts_key(first) == attempts_key(second) != attempts_key(other)
    assert len(attempts_key(first)) == len(first) - 4


@pytest.mark.parametrize(
    ("first_ns", "last_ns", "offset_ns", "is_lawful"),
    [
        (0, 0, 0, True),
        (MONOTONIC_NS, MONOTONIC_NS + 1, 10**18, True),
        (0, MAX_TIME_NS, 0, True),
        (0, MAX_TIME_NS + 1, -1, False),
        (0, 1, -1, False),
        (5, 6, -5, True),
        (0, 1, MAX_TIME_NS, False),
    ],
)
def test_times_that_no_clock_shows_are_found(first_ns: int, last_ns: int, offset_ns: int, is_lawful: bool) -> None:  # noqa: FBT001 - a table's column
    """A forged stamp cannot make a span whose times do not fit their field."""
    transit = make_transit({2: 0, 3: 1})
    stamps = (Stamp(transit.stamps[0].point, 3, first_ns), Stamp(transit.stamps[1].point, 4, last_ns))
    forged = msgspec.structs.replace(transit, stamps=stamps)
    reason = judge_record(encode_record(forged), make_half(NODE_1, transit, offset_ns).origin)
    assert reason is (None if is_lawful else TransitReason.MALFORMED)


@pytest.mark.parametrize(("points", "role"), ROLES)
def test_record_that_only_passes_is_found_without_decoding(points: list[int], role: Role) -> None:
    """The bytes tell it as the decoded transit does."""
    transit = make_transit({point: n for n, point in enumerate(points)})
    reason = judge_record(encode_record(transit), make_half(NODE_1, transit).origin)
    assert reason is (TransitReason.PASSING if role is Role.PASSING else None)


def test_transits_of_one_way_share_their_course() -> None:
    """Only what differs from packet to packet is read from each: ids, ends and times."""
    first = make_half(NODE_1, make_transit({2: 0, 3: 5}))
    second = make_half(NODE_1, make_transit({2: 70, 3: 90}, seq=7, server="10.96.0.11"))
    other = make_half(NODE_1, make_transit({2: 0, 4: 5}))
    assert first.course is second.course is not other.course
    assert (first.times_ns[0], second.times_ns[0]) == (MONOTONIC_NS, MONOTONIC_NS + 70 * US)
    assert first.server_address != second.server_address


@pytest.mark.parametrize(
    ("offset", "value"), [(1, 2), (2, 0), (48, 9), (HEAD_BYTES, 9), (HEAD_BYTES + STAMP_BYTES, 2)]
)
def test_half_of_a_record_with_unknown_values_is_refused(offset: int, value: int) -> None:
    """Direction, format, tunnel and points are those that version 1 knows, and no point occurs twice."""
    raw = make_raw(make_transit({2: 0, 3: 5}))
    record = raw.record[:offset] + bytes((value,)) + raw.record[offset + 1 :]
    with pytest.raises(RecordError):
        Half(msgspec.structs.replace(raw, record=record), make_half(NODE_1, make_transit({2: 0})).origin)


def test_half_whose_stamps_are_in_disorder_is_refused() -> None:
    """The packet meets the points one after the other."""
    raw = make_raw(make_transit({2: 0, 3: 5}))
    first, second = raw.record[HEAD_BYTES : HEAD_BYTES + STAMP_BYTES], raw.record[HEAD_BYTES + STAMP_BYTES :]
    swapped = msgspec.structs.replace(raw, record=raw.record[:HEAD_BYTES] + second + first)
    with pytest.raises(RecordError, match="order"):
        Half(swapped, make_half(NODE_1, make_transit({2: 0})).origin)
