"""The kept bursts as stories: what is found again, what goes when, and how much memory one of them takes."""

import gc
import random
import tracemalloc

import pytest

from node_probe.claimed_record import ClaimedContext, write_record
from node_probe.kept_flows import SLICE_NS, KeptFlows
from node_probe.kernel_burst import decode_burst
from node_probe.transit import ContextFormat, Direction, TransitFlag
from tests.node_probe.bursts import CLIENT, CLIENT_END, CLIENT_PORT, SERVER, SERVER_END, SERVER_PORT, make_burst
from tests.node_probe.records import read_transit

S = 10**9
CONTEXT = ClaimedContext(bytes(range(1, 17)), bytes(range(1, 9)), 1)


def test_claimed_burst_is_what_the_kernel_saw() -> None:
    """A record that is kept, found by its packet and claimed has all stamps, and client and server told apart."""
    record = make_burst(S, is_coming=True, seq=70, tsval=5, vni=42, tunnel=1, outer_source=SERVER)
    burst = decode_burst(record)
    assert burst is not None
    flows = KeptFlows()
    assert flows.keep([make_burst(S - 1, is_coming=True, seq=69, tsval=5), record]).bursts == 2
    (direction,) = flows.find_to(CLIENT_END)
    entry = direction.find_packet(70, 5)
    assert entry == 1
    transit = read_transit(write_record(direction, entry, Direction.RESPONSE, CONTEXT))
    assert (transit.client_address, transit.client_port) == (CLIENT, CLIENT_PORT)
    assert (transit.server_address, transit.server_port) == (SERVER, SERVER_PORT)
    assert (transit.stamps, transit.vni, transit.tunnel) == (burst.stamps, burst.vni, burst.tunnel)
    assert (transit.seq, transit.tsval, transit.outer_source) == (70, 5, SERVER)
    assert (transit.context.trace_id, transit.context.parent_id) == (CONTEXT.trace_id, CONTEXT.parent_id)
    assert (transit.context.format, transit.flags) == (ContextFormat.FLOW, TransitFlag.TLS)


def test_directions_are_found_by_both_ends() -> None:
    """A flow has two directions; each is found from where it begins and where it ends."""
    flows = KeptFlows()
    flows.keep([make_burst(S), make_burst(S, is_coming=True)])
    (leaving,), (coming,) = flows.find_from(CLIENT_END), flows.find_to(CLIENT_END)
    assert (leaving.source, leaving.destination) == (CLIENT_END, SERVER_END) == (coming.destination, coming.source)
    assert flows.find_from(SERVER_END) == (coming,)
    assert flows.find_from(b"elsewhere") == ()


def test_entries_are_in_the_order_of_their_first_stamps() -> None:
    """Records come in the order of their last stamps, and swept ones a second late."""
    flows = KeptFlows()
    times = [S + 3, S + 1, S + 2, S + 9, S + 4, S]
    flows.keep([make_burst(time_ns, number=n, seen=0b11) for n, time_ns in enumerate(times)])
    flows.keep([make_burst(S + 5, number=6)])
    (direction,) = flows.find_from(CLIENT_END)
    assert [burst.first_ns for burst in direction.read_range(0, 99)] == sorted([*times, S + 5])
    assert direction.find(S + 3) == 3


def test_follower_is_noted_at_its_burst_or_waits_for_it() -> None:
    """A follower is told at once, its burst at its last point: either may be read first."""
    flows = KeptFlows()
    first, second = make_burst(S, number=1, seq=10), make_burst(2 * S, number=2, seq=20)
    flows.keep([first, make_burst(S + 5, kind=2, number=1, seq=10), make_burst(2 * S + 5, kind=2, number=2, seq=20)])
    flows.keep([second])
    (direction,) = flows.find_from(CLIENT_END)
    one, two, follower = direction.read_range(0, 9)
    assert (one.is_followed, two.is_followed, follower.is_follower) == (True, False, True)
    assert direction.find_packet(20, 0) == 1


def test_old_bursts_go() -> None:
    """What is older than it is to be kept goes, a second of a direction at once, and a direction with its last."""
    flows = KeptFlows(keep_ns=60 * S)
    flows.keep([make_burst(at * S, number=at) for at in range(1, 11)])
    assert flows.expire(61 * S) == 0
    assert flows.expire(66 * S) == 5
    assert (flows.count, flows.complete_since_ns) == (5, 6 * S)
    assert flows.expire(200 * S) == 5
    assert (flows.count, flows.direction_count, flows.held_bytes) == (0, 0, 0)
    assert flows.find_from(CLIENT_END) == flows.find_to(CLIENT_END) == ()


def test_memory_is_bounded_oldest_out_first() -> None:
    """Beyond its bytes the oldest go, of whatever direction, and it is known since when all are there."""
    flows = KeptFlows(max_bytes=64 << 10)
    kept = [flows.keep([make_burst(at * S // 10, client_port=at % 7, number=at)]) for at in range(1, 3000)]
    displaced = sum(one.displaced for one in kept)
    assert displaced == 2999 - flows.count > 1000
    assert flows.held_bytes <= 64 << 10
    assert flows.complete_since_ns <= 300 * S - flows.count * S // 10 + 3 * SLICE_NS


def test_bad_records_are_told() -> None:
    """What cannot be kept is an error each, and leaves nothing behind."""
    late = make_burst(S, monotonic_ns=[S, S + 5 * 10**9, S, S, 0, 0, 0, 0])
    kept = KeptFlows().keep([make_burst(S)[:-1], make_burst(S, kind=9), late, make_burst(S, seen=0), b""])
    assert [str(error).split(" ")[0] for error in kept.bad_records] == [
        "record",
        "burst",
        "stamps",
        "record",
        "record",
    ]
    assert kept.bursts == 0


def test_ways_of_a_direction_are_bounded() -> None:
    """A direction whose packets take ever new ways does not take ever more memory."""
    flows = KeptFlows()
    kept = flows.keep([make_burst(S + n, vni=n) for n in range(300)])
    assert len(kept.bad_records) == 300 - 256


@pytest.mark.parametrize(("directions", "each"), [(50, 250), (400, 60)])
def test_memory_of_a_kept_transit(directions: int, each: int) -> None:
    """64 bytes at most, all told, where a direction has some; what is charged is what is taken, or more."""
    chance = random.Random(5)  # noqa: S311 - repeatable
    flows = KeptFlows(max_bytes=1 << 30)
    gc.collect()
    tracemalloc.start()
    for number in range(each):
        batch = [
            make_burst(S * number + at, is_coming=bool(at % 2), client_port=1024 + at, number=number,
                       seq=chance.getrandbits(32), tsval=number, previous_last_ns=S * number)
            for at in range(directions)
        ]  # fmt: skip
        flows.keep(batch)
        del batch
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert flows.direction_count == directions
    assert taken <= flows.held_bytes
    assert taken / flows.count <= 64
