"""Never a wrong name: pods come and go on few addresses, told late and with gaps, and what is named is true.

What is true is known here alone: who had an address from its network's beginning until its last container's end.
"""

import random
from typing import Any

import msgspec
import pytest

from collector_plugin.end_names import EndNames
from collector_plugin.kubernetes_cluster import Cluster
from collector_plugin.kubernetes_feed import Feed, handle_pods
from tests.collector_plugin.builders import EPOCH_NS, SECOND
from tests.collector_plugin.cluster_objects import list_names, make_pod, write_event, write_page

ADDRESSES = [f"10.244.2.{number}" for number in range(1, 5)]
STEP_S = 0.25
LENGTH_S = 300
MAX_LATE_S = 2.0
"""Events come this late; a transit is joined later still, when its span has been flushed."""

JOINED_AFTER_S = 2.5
WINDOW_S = 60


class Owner(msgspec.Struct):
    """A pod that truly has its address from `network_s` until `end_s`; no other has it before `free_s`."""

    name: str
    address: str
    start_s: float
    network_s: float
    end_s: float
    free_s: float
    is_job: bool

    def tell(self, now_s: float) -> dict[str, Any] | None:
        """Return the object as the API server has it, None where it has none."""
        if now_s < self.start_s or (now_s >= self.free_s and not self.is_job):
            return None
        ended: dict[str, Any] = {"ended_s": self.end_s} if now_s >= self.free_s else {}
        if now_s < self.network_s:
            return make_pod(self.name)
        return make_pod(self.name, self.address, start_s=self.start_s, ready_s=self.network_s, **ended)


class Simulation:
    """The truth, what is told of it, and how many names came of that."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a story, no secret
        self._cluster = Cluster(130 * SECOND)
        self._feed = Feed(handle_pods(self._cluster), 90 * SECOND)
        self._names = EndNames(self._cluster)
        self._owners: list[Owner] = []
        self._told: dict[str, dict[str, Any]] = {}
        self._waiting: list[tuple[float, bytes]] = []
        self._lost_until_s = 0.0
        self._needs_list = True
        self._began_s: float | None = None
        self.named = self.asked = 0

    def run(self) -> None:
        """Let the time pass."""
        for step in range(int(LENGTH_S / STEP_S)):
            now_s = step * STEP_S
            self._begin_pods(now_s)
            self._notice_changes(now_s)
            self._deliver(now_s)
            self._ask(now_s)

    def _begin_pods(self, now_s: float) -> None:
        taken = {owner.address for owner in self._owners if owner.free_s > now_s}
        for address in ADDRESSES:
            if address not in taken and self._random.random() < STEP_S / 4:
                # It may have waited long for its address, which another had meanwhile.
                waited_s = self._random.choice((0.0, 0.0, 0.5, 8.0))
                network_s = now_s + self._random.uniform(0, 2)
                end_s = network_s + self._random.expovariate(1 / 20)
                self._owners.append(
                    Owner(
                        name=f"pod-{len(self._owners)}",
                        address=address,
                        start_s=now_s - waited_s,
                        network_s=network_s,
                        end_s=end_s,
                        free_s=end_s + self._random.uniform(0.1, 1.5),
                        is_job=self._random.random() < 0.3,
                    )
                )

    def _notice_changes(self, now_s: float) -> None:
        """Write an event for each object that has changed; they keep their order."""
        for owner in self._owners[-40:]:
            before, after = self._told.get(owner.name), owner.tell(now_s)
            if before == after:
                continue
            if after is not None:
                self._told[owner.name] = after
                event = write_event("MODIFIED" if before is not None else "ADDED", after)
            else:
                del self._told[owner.name]
                times: dict[str, Any] = {"ready_s": owner.network_s, "ended_s": owner.end_s}
                last = make_pod(owner.name, owner.address, start_s=owner.start_s, **times)
                event = write_event("DELETED", last)
            late_s = max(now_s + self._random.uniform(0, MAX_LATE_S), self._waiting[-1][0] if self._waiting else 0)
            self._waiting.append((late_s, event))

    def _deliver(self, now_s: float) -> None:
        now_ns = EPOCH_NS + int(now_s * SECOND)
        if now_s < self._lost_until_s:
            self._began_s = None
            return
        if self._random.random() < STEP_S / 40:
            self._feed.lose()
            self._lost_until_s = now_s + self._random.uniform(0, 15)
            self._began_s = None
            self._needs_list = self._random.random() < 0.5
        elif self._needs_list:
            # It shows this moment, so what waits is in it.
            self._waiting.clear()
            self._feed.begin_list(now_ns)
            self._feed.add_page(write_page(list(self._told.values())), now_ns)
            self._needs_list = False
        elif self._began_s is None:
            self._began_s = now_s
            self._feed.begin_watch(now_ns)
        else:
            while self._waiting and self._waiting[0][0] <= now_s:
                self._feed.add_event(self._waiting.pop(0)[1], now_ns)
            if now_s == self._began_s + 2:
                self._feed.confirm(now_ns)

    def _ask(self, now_s: float) -> None:
        """Join a transit of some time ago: whose pod is named is the one that sent it."""
        at_s = now_s - self._random.uniform(JOINED_AFTER_S, WINDOW_S)
        for owner in self._owners:
            if owner.network_s <= at_s < owner.end_s:
                name = list_names(self._names, at_s, owner.address).get("destination.pod")
                assert name in (None, owner.name), (at_s, now_s, owner)
                self.asked += 1
                self.named += name is not None


@pytest.mark.parametrize("seed", range(8))
def test_every_name_is_true(seed: int) -> None:
    """And most are given, though the watch is lost every minute and addresses change hands every half minute."""
    simulation = Simulation(seed)
    simulation.run()
    assert simulation.asked > 500
    assert simulation.named > simulation.asked / 2
