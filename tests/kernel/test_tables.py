"""The tables of transits and exchanges: bounded, exact under a sweep at the same time, and every loss counted."""

import random
import signal
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from node_probe.sweep import sweep_transits
from node_probe.tables import EXCHANGES_MAX, SET_BYTES, TRANSITS_MAX, count_used
from node_probe.transit import TransitFlag
from testbed.capture_file import PLAIN_TCP
from tests.bench.bytecode import load_renumbering
from tests.compiled.loaded import loaded_programs
from tests.kernel.bpf_harness import Harness
from tests.kernel.packets import SEQ, request, response, traced_request
from tests.requirements import require_bcc, require_root
from tests.soak import scale

pytestmark = pytest.mark.bpf


@pytest.fixture(scope="module")
def own_harness() -> Iterator[Harness]:
    """Return programs with tables of their own: full ones would be counted in other tests."""
    require_root()
    require_bcc()
    with loaded_programs() as fds, closing(Harness(fds)) as harness, ExitStack() as stack:
        for name, target in (("renumber requests", "pod_egress"), ("renumber responses", "nic_ingress")):
            harness.add(name, load_renumbering(stack, fds[target], PLAIN_TCP))
        yield harness


@pytest.fixture
def bpf(own_harness: Harness) -> Harness:
    own_harness.configure()
    own_harness.start_afresh()
    return own_harness


@pytest.fixture
def port(port_numbers: Iterator[int]) -> int:
    """Return the first of ten client ports that no other test uses."""
    first, *_ = (next(port_numbers) for _ in range(11))
    return first


RING_RECORDS = 15_000
"""At least so many fit into the ring."""


def start_many(bpf: Harness, count: int, port: int) -> None:
    """Start transits whose packets have numbers of their own: see `count_on`."""
    bpf.run("renumber requests", request(traced_request(), seq=1, ack=0, client_port=port), count)


def count_on(number: int) -> int:
    """Return the acknowledgement of the start of that number, from 1: the bytes count the other way round."""
    return int.from_bytes(number.to_bytes(4, "little"), "big")


def read_awaited(bpf: Harness) -> list[int]:
    """Return the counters of transits under way."""
    return [struct.unpack("=I", count)[0] for _, count in bpf.map("awaited", 4).items()]


def test_sweep_takes_what_met_no_last_point(bpf: Harness, port: int) -> None:
    """A transit that is old enough comes by the ring once, marked partial, with the stamps it has."""
    frame = request(traced_request(), client_port=port)
    bpf.watch("pod_egress", frame)
    bpf.watch("veth_ingress", frame)
    sweep_transits(bpf.fd("sweep"), 60_000_000_000)
    assert bpf.read_transits() == []
    sweep_transits(bpf.fd("sweep"), 0)
    sweep_transits(bpf.fd("sweep"), 0)
    (transit,) = bpf.read_transits()
    assert transit.flags == TransitFlag.PARTIAL
    assert [stamp.point for stamp in transit.stamps] == [1, 2]
    assert bpf.list_transits() == {}
    assert bpf.counts() == {"transits_started": 1, "transits_swept": 1}


def test_signals_do_not_end_a_sweep(bpf: Harness, port: int) -> None:
    """The kernel gives a run of many repetitions up when a signal comes; every transit is swept all the same."""
    start_many(bpf, 3_000, port)
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        for _ in range(scale(500)):
            sweep_transits(bpf.fd("sweep"), 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert bpf.list_transits() == {}
    assert bpf.counts()["transits_swept"] == bpf.counts()["transits_started"]


def test_swept_transit_is_not_met_again(bpf: Harness, port: int) -> None:
    """A packet that comes to its last point after the sweep leaves no second record."""
    frame = request(traced_request(), client_port=port)
    bpf.watch("pod_egress", frame)
    sweep_transits(bpf.fd("sweep"), 0)
    bpf.watch("pod_ingress", frame)
    assert len(bpf.read_transits()) == 1
    assert bpf.counts() == {"transits_started": 1, "transits_swept": 1}


def test_slot_that_is_used_again_keeps_nothing(bpf: Harness, port: int) -> None:
    """A record holds no stamp, flag or tunnel of the transit that had its slot before."""
    first = request(traced_request(), client_port=port)
    bpf.watch("nic_ingress", first)
    sweep_transits(bpf.fd("sweep"), 0)
    bpf.read_transits()
    second = request(traced_request(), client_port=port, seq=1, ack=1)
    bpf.watch("pod_egress", second)
    bpf.watch("pod_ingress", second)
    (transit,) = bpf.read_transits()
    assert [stamp.point for stamp in transit.stamps] == [1, 8]
    assert transit.flags == TransitFlag(0)


def test_flood_of_unfinished_transits_is_bounded(bpf: Harness, port: int) -> None:
    """More transits than there is room for: those that find none are counted, and the sweep frees all the others."""
    count = TRANSITS_MAX + 10_000
    start_many(bpf, count, port)
    counts = bpf.counts()
    assert counts["transits_started"] + counts["transit_map_full"] == count
    assert TRANSITS_MAX * 0.7 < counts["transits_started"] <= TRANSITS_MAX
    assert len(bpf.list_transits()) == counts["transits_started"]
    sweep_transits(bpf.fd("sweep"), 0)
    assert bpf.list_transits() == {}
    swept = bpf.counts()
    assert swept["transits_swept"] >= RING_RECORDS
    assert swept["transits_swept"] + swept["ring_full"] == counts["transits_started"]
    bpf.start_afresh()
    bpf.watch("pod_egress", request(traced_request(), client_port=port + 1))
    assert bpf.counts() == {"transits_started": 1}


def test_unfinished_transits_of_a_second_leave_room(bpf: Harness, port: int) -> None:
    """As many as a device may start until they are swept take less than one in a thousand from the others."""
    start_many(bpf, 6_250, port)
    assert bpf.counts().get("transit_map_full", 0) <= 6


def test_exchanges_are_bounded_and_the_newest_stay(bpf: Harness, port: int) -> None:
    """After twice as many exchanges as there is room for the newest are found; what gave way unanswered counts."""
    for step in range(8):
        start_many(bpf, EXCHANGES_MAX // 4, port + step)
        bpf.start_afresh()
    port += 9
    start_many(bpf, 5_000, port)
    assert bpf.counts()["exchange_map_full"] > 4_000
    assert count_used(bpf.map("exchange_tags", SET_BYTES)) <= EXCHANGES_MAX
    bpf.start_afresh()
    found = 0
    for number in range(1, 5_001, 50):
        bpf.watch("nic_ingress", response(seq=count_on(number), client_port=port))
        found += bpf.counts().get("transits_started", 0)
        bpf.start_afresh()
    assert found == 100


def test_unanswered_exchange_outlives_answered_ones(bpf: Harness, port: int) -> None:
    """A long request is still known after 50,000 exchanges that were answered meanwhile."""
    bpf.watch("pod_egress", request(traced_request(), client_port=port))
    for step in range(10):
        bpf.run("renumber requests", request(traced_request(), seq=1, ack=1, client_port=port + 1 + step), 5_000)
        bpf.start_afresh()
        bpf.run("renumber responses", response(seq=1, ack=1, client_port=port + 1 + step), 5_000)
        assert bpf.counts()["transits_started"] > 4_990
        bpf.start_afresh()
    bpf.watch("nic_ingress", response(client_port=port))
    assert bpf.counts() == {"transits_started": 1}


def test_sweep_and_last_point_at_once_hand_out_each_transit_once(bpf: Harness, port: int) -> None:
    """While one CPU starts and ends transits another sweeps all that it finds: each comes once, whole or partial."""
    done = threading.Event()

    def sweep_all() -> None:
        while not done.is_set():
            sweep_transits(bpf.fd("sweep"), 0)

    thread = threading.Thread(target=sweep_all)
    thread.start()
    seen: list[int] = []
    try:
        for number in range(scale(4000)):
            frame = request(traced_request(), seq=number * 8, ack=number, client_port=port)
            for program in ("pod_egress", "veth_ingress", "pod_ingress"):
                bpf.run(program, frame)
            seen += [transit.seq for transit in bpf.read_transits()]
    finally:
        done.set()
        thread.join()
    sweep_transits(bpf.fd("sweep"), 0)
    seen += [transit.seq for transit in bpf.read_transits()]
    assert sorted(seen) == [number * 8 for number in range(scale(4000))]
    assert not any(read_awaited(bpf))
    counts = bpf.counts()
    assert counts["transits_swept"] > 0
    assert counts["transits_emitted"] > 0


def test_table_answers_as_a_dictionary_would(bpf: Harness, port: int) -> None:
    """Random starts, stamps, ends and sweeps of a few messages: what comes out is what a dictionary says."""
    dice = random.Random(1124)  # noqa: S311 - the same steps every time
    model: dict[int, list[int]] = {}
    expected = []
    numbers = iter(range(10**9))
    for _ in range(scale(3000)):
        step = dice.randrange(10)
        if step < 4 or not model:
            seq = (SEQ + next(numbers) * 7) % 2**32
            bpf.run("pod_egress", request(traced_request(), seq=seq, ack=seq, client_port=port))
            model[seq] = [1]
        elif step < 6:
            seq = dice.choice(list(model))
            bpf.run("overlay_egress", request(traced_request(), seq=seq, ack=seq, client_port=port))
            model[seq] = [1, 3]
        elif step < 9:
            seq = dice.choice(list(model))
            bpf.run("pod_ingress", request(traced_request(), seq=seq, ack=seq, client_port=port))
            expected.append((seq, [*model.pop(seq), 8]))
        elif dice.randrange(20) == 0:
            sweep_transits(bpf.fd("sweep"), 0)
            expected += list(model.items())
            model = {}
    sweep_transits(bpf.fd("sweep"), 0)
    expected += list(model.items())
    assert not any(read_awaited(bpf))
    records = bpf.read_transits()
    assert sorted((t.seq, [s.point for s in t.stamps]) for t in records) == sorted(expected)
