"""What is tried when, and what becomes of a point that cannot be attached: without a kernel, by a made-up tcx."""

import contextlib
import errno
import io
import itertools
import os
from collections import Counter
from pathlib import Path

import pytest

from hopspan.logs import Log, RepeatGate
from node_probe import attach
from node_probe.attach import ATTACH_LIMIT, ATTACH_TIME_NS, Attacher
from node_probe.devices import Attachment, Plan
from node_probe.namespaces import Namespace

FAILING = 100
"""More than one call tries."""

GOOD = 30
PROGRAM = "veth_ingress"


def plan_of(ifindexes: range) -> Plan:
    return Plan(frozenset(Attachment(ifindex, PROGRAM) for ifindex in ifindexes), (), ())


class MadeUpTcx:
    """Stands where the kernel would: refuses the devices in `refused`, and counts what was tried."""

    def __init__(self) -> None:
        self.refused: dict[int, int] = {}
        self.tried: Counter[int] = Counter()

    def create_link(self, _program: int, ifindex: int, _kind: int) -> int:
        self.tried[ifindex] += 1
        if ifindex in self.refused:
            raise OSError(self.refused[ifindex], "refused")
        return os.eventfd(0)


@pytest.fixture
def tcx(monkeypatch: pytest.MonkeyPatch) -> MadeUpTcx:
    made_up = MadeUpTcx()
    monkeypatch.setattr(attach, "create_tcx_link", made_up.create_link)
    return made_up


@pytest.fixture
def attacher(tcx: MadeUpTcx) -> Attacher:
    del tcx
    return Attacher({PROGRAM: 0}, Log(), tcx=True)


def test_failures_end_and_starve_nobody(tcx: MadeUpTcx, attacher: Attacher) -> None:
    """However many fail, the others are attached, and after as many calls as it takes nothing is left untried."""
    tcx.refused = dict.fromkeys(range(1, FAILING + 1), errno.EPERM)
    plan = plan_of(range(1, FAILING + GOOD + 1))
    assert (attacher.apply(plan), attacher.has_more) == (ATTACH_LIMIT, True)
    assert (attacher.apply(plan), attacher.has_more) == (FAILING, False)
    assert len(attacher.attached) == GOOD
    attacher.close()


def test_failures_are_tried_again_in_turn(tcx: MadeUpTcx, attacher: Attacher) -> None:
    """Each failure gets its next attempt before any gets one more, and what then succeeds is no failure any more."""
    tcx.refused = dict.fromkeys(range(1, FAILING + 1), errno.EPERM)
    plan = plan_of(range(1, FAILING + 1))
    calls = 10
    for _ in range(calls):
        attacher.apply(plan)
    assert max(tcx.tried.values()) - min(tcx.tried.values()) <= 1
    assert tcx.tried.total() == calls * ATTACH_LIMIT
    tcx.refused.clear()
    assert attacher.apply(plan) == FAILING - ATTACH_LIMIT
    assert not attacher.has_more
    assert attacher.apply(plan) == 0
    attacher.close()


def test_new_point_comes_before_the_failures(tcx: MadeUpTcx, attacher: Attacher) -> None:
    """A pod that comes while many fail is attached in the next call."""
    failing = range(1, FAILING + 1)
    tcx.refused = dict.fromkeys(failing, errno.EPERM)
    while attacher.apply(plan_of(failing)) < FAILING:
        pass
    assert attacher.apply(plan_of(range(1, FAILING + 2))) == FAILING
    assert attacher.attached == plan_of(range(FAILING + 1, FAILING + 2)).attachments
    attacher.close()


def test_failure_ends_with_its_device(tcx: MadeUpTcx, attacher: Attacher) -> None:
    """What the plan no longer has is not counted, and is new when it comes back."""
    tcx.refused = {1: errno.ENODEV, 2: errno.EPERM}
    assert attacher.apply(plan_of(range(1, 4))) == 2
    assert attacher.apply(plan_of(range(2, 4))) == 1
    assert attacher.apply(plan_of(range(4, 5))) == 0
    assert attacher.attached == plan_of(range(4, 5)).attachments
    attacher.close()


def test_mechanism_is_what_was_told(tcx: MadeUpTcx, attacher: Attacher) -> None:
    """No answer of the kernel to one device makes the attacher change over to clsact for all."""
    tcx.refused = {1: errno.EINVAL}
    assert attacher.apply(plan_of(range(1, 3))) == 1
    assert attacher.mechanism == "tcx"
    assert tcx.tried == {1: 1, 2: 1}
    attacher.close()
    assert Attacher({}, Log(), tcx=False).mechanism == "clsact"


def test_failure_is_told_once(tcx: MadeUpTcx, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that went while it was attached is a line in the log, and no other at each new attempt; nor twice."""
    monkeypatch.setattr(attach, "find_namespaces", lambda _: {})
    text = io.StringIO()
    log = Log(stream=text)
    log._gate = RepeatGate(0)  # which would hold back what is told too often
    tcx.refused = {1: errno.ENODEV, 2: errno.EPERM}
    hidden = {Attachment(2, "pod_ingress", 5, 3), Attachment(3, PROGRAM)}
    plan = Plan(plan_of(range(1, 3)).attachments | hidden, (), ())
    attacher = Attacher({PROGRAM: 0, "veth_ingress_first": 0, "veth_egress_last": 0}, log, tcx=True)
    assert [attacher.apply(plan) for _ in range(3)] == [3, 3, 3]
    lines = text.getvalue().splitlines()
    assert len(lines) == 3
    for words in ("went while", "could not be attached", "no process or name holds"):
        assert sum(words in line for line in lines) == 1
    attacher.apply(plan_of(range(7, 8)))
    attacher.apply(plan)
    assert len(text.getvalue().splitlines()) == 6
    attacher.close()


def test_pods_are_attached_one_after_the_other(attacher: Attacher, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ends of a pod's veth are attached before the next pod's: none waits half-measured for all others."""
    places = {n: Namespace(Path("/proc/self/ns/net"), 0) for n in range(ATTACH_LIMIT)}
    monkeypatch.setattr(attach, "find_namespaces", lambda _: places)
    monkeypatch.setattr(attach, "read_device_name", lambda _: "eth0")
    monkeypatch.setattr(attach, "_entered", lambda _: contextlib.nullcontext())
    ends = {Attachment(100 + n, PROGRAM) for n in range(ATTACH_LIMIT)}
    in_pods = {Attachment(2, PROGRAM, n, 100 + n) for n in range(ATTACH_LIMIT)}
    plan = Plan(frozenset(ends | in_pods), (), ())
    assert (attacher.apply(plan), attacher.has_more) == (0, True)
    done = Counter(a.host_ifindex or a.ifindex for a in attacher.attached)
    assert set(done.values()) == {2}
    attacher.close()


def test_slow_kernel_takes_no_longer_from_the_ring(attacher: Attacher, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call ends when its time is over, and says that there is more; but it tries one at least."""
    now_ns = itertools.count(step=ATTACH_TIME_NS // 2)
    monkeypatch.setattr(attach, "monotonic_ns", lambda: next(now_ns))
    plan = plan_of(range(1, 6))
    assert [(attacher.apply(plan), attacher.has_more, len(attacher.attached)) for _ in range(3)] == [
        (0, True, 2),
        (0, True, 4),
        (0, False, 5),
    ]
    monkeypatch.setattr(attach, "ATTACH_TIME_NS", -1)
    attacher.apply(plan_of(range(1, 8)))
    assert len(attacher.attached) == 6
    attacher.close()
