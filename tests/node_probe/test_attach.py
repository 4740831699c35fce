"""What is tried when, and what becomes of a point that cannot be attached: without a kernel, by a made-up tcx."""

import errno
import os
from collections import Counter

import pytest

from hopspan.logs import Log
from node_probe import attach
from node_probe.attach import ATTACH_LIMIT, Attacher
from node_probe.devices import Attachment, Plan

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
