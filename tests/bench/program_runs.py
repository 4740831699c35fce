"""Measures single programs by PROG_TEST_RUN, net of an empty one: ns a run, hot, or as median of single shots.

Runs alternate with those of the empty program, so that a slow minute of the machine slows both. What a run did is
checked by the programs' own counters: a figure of the wrong path would be worse than none.
"""

import itertools
import statistics
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

from node_probe.kernel_record import RECORD_FIELDS
from node_probe.programs import PROGRAMS, SWEEP
from node_probe.tables import KEY_BYTES
from tests.bench.bytecode import load_empty, load_renumbering, load_unstamping
from tests.bench.figures import spread
from tests.bench.kernel_facts import read_program_facts
from tests.bench.samples import CONTEXT_AT_BYTE, IN_TUNNEL_TCP, PLAIN_TCP, UNREACHED_RATE, deep_request, head_request
from tests.compiled.loaded import loaded_programs
from tests.kernel.bpf_harness import Harness
from tests.kernel.packets import request, vxlan

EXCHANGES_MAX = 65_536
"""As in bpf/limits.h: first points are measured with this map full, as it is on a node after a minute of traffic."""

_FILL_STEP = 10_000
"""Transits started at a time, below the 16384 that their map holds."""

_ports = itertools.count(10_000)
"""Client ports: exchanges outlive a transit, so each transit gets one of its own."""


@dataclass(frozen=True)
class Effort:
    """How much is measured: rounds, pairs of alternating runs in each, repetitions in a run, and single shots."""

    rounds: int
    pairs: int
    repeat: int
    shots: int


class ProgramRuns:
    """The loaded programs beside the empty one and those that prepare a run."""

    def __init__(self, effort: Effort) -> None:
        """Compile and load. Raises ProbeError."""
        self._effort = effort
        self._stack = ExitStack()
        self._fds = {**self._stack.enter_context(loaded_programs()), "empty": load_empty(self._stack)}
        facts = {name: read_program_facts(self._fds[name]) for name in (*PROGRAMS, SWEEP)}
        self.verified = {name: told.get("verified_insns") for name, told in facts.items()}
        for name, offset in (("empty", PLAIN_TCP), ("overlay_egress", PLAIN_TCP), ("pod_egress", PLAIN_TCP)):
            self._fds[f"renumber {name}"] = load_renumbering(self._stack, self._fds[name], offset)
        for name in ("empty", "nic_ingress"):
            self._fds[f"renumber inner {name}"] = load_renumbering(self._stack, self._fds[name], IN_TUNNEL_TCP)
        self._harness = self._stack.enter_context(closing(Harness(self._fds)))
        self._harness.configure(rate_limit=UNREACHED_RATE)

    def close(self) -> None:
        """Let go of all programs."""
        self._stack.close()

    def measure(self) -> dict[str, Any]:
        """Return the figures under `ns`."""
        turns = range(self._effort.rounds)
        not_full = [self._measure_shots("pod_egress", "pod_ingress", lambda frame: frame)[0] for _ in turns]
        self._fill_exchanges()
        rounds = [{"first_exchanges_not_full": not_full[turn], **self._measure_round()} for turn in turns]
        figures = {name: spread([figures[name] for figures in rounds]) for name in rounds[0]}
        for name in ("unsampled_first", "first", "last"):
            figures[name] = max((figures[f"{name}_inner"], figures[f"{name}_outer"]), key=lambda f: f["median"])
        return figures

    def _measure_round(self) -> dict[str, float]:
        other, traced = request(b"x" * 600), request(deep_request("01"))
        unsampled = request(deep_request("00"))
        figures = {
            "non_http": self._measure_hot("overlay_egress", "empty", other),
            "non_http_outer": self._measure_hot("nic_ingress", "empty", vxlan(other)),
            "miss": self._measure_hot("renumber overlay_egress", "renumber empty", traced),
            "miss_same_packet": self._measure_hot("overlay_egress", "empty", traced),
            "unsampled_first_inner": self._measure_hot("renumber pod_egress", "renumber empty", unsampled),
            "unsampled_first_outer": self._measure_hot(
                "renumber inner nic_ingress", "renumber inner empty", vxlan(unsampled)
            ),
            "unsampled_first_at_head": self._measure_hot(
                "renumber pod_egress", "renumber empty", request(head_request("00"))
            ),
            "unsampled_first_same_packet": self._measure_hot("pod_egress", "empty", unsampled),
        }
        if "transits_started" in self._harness.counts():
            raise AssertionError("a packet that should start no transit did")
        figures |= self._measure_stamp(client_port=next(_ports))
        figures["first_hot"] = self._measure_first_hot()
        inner = self._measure_shots("pod_egress", "pod_ingress", lambda frame: frame)
        outer = self._measure_shots("nic_ingress", "nic_egress", vxlan)
        figures["first_inner"], figures["last_inner"] = inner
        figures["first_outer"], figures["last_outer"] = outer
        return figures

    def _measure_stamp(self, client_port: int) -> dict[str, float]:
        """Measure a middle point that stamps each time, the stamp being taken back before; and one that repeats."""
        self._harness.start_afresh()
        packet = request(deep_request("01"), client_port=client_port)
        self._harness.run("pod_egress", packet)
        ((index, value),) = self._harness.list_transits().items()
        seen = [name for name, _ in RECORD_FIELDS].index("seen")  # all fields before it are single bytes
        for name in ("overlay_egress", "empty"):
            stamp_taken_back = (KEY_BYTES + seen, value[seen])
            transits = self._fds["transits"]
            unstamping = load_unstamping(self._stack, self._fds[name], transits, index, stamp_taken_back)
            self._harness.add(f"unstamp {name}", unstamping)
        stamp = self._measure_hot("unstamp overlay_egress", "unstamp empty", packet)
        if "repeated" in self._harness.counts():
            raise AssertionError("the stamp was not taken back before each run")
        repeated = self._measure_hot("overlay_egress", "empty", packet)
        self._harness.start_afresh()
        return {"stamp": max(stamp, repeated), "stamp_fresh": stamp, "stamp_repeated": repeated}

    def _measure_hot(self, program: str, base: str, packet: bytes) -> float:
        """Return the median over alternating pairs of runs, each a mean of many repetitions."""
        differences = []
        for _ in range(self._effort.pairs):
            without = self._harness.run(base, packet, self._effort.repeat).duration_ns
            differences.append(self._harness.run(program, packet, self._effort.repeat).duration_ns - without)
        return statistics.median(differences)

    def _measure_first_hot(self) -> float:
        """Return what starting a transit costs in a row of them, without a system call between."""
        self._harness.start_afresh()
        packet = request(deep_request("01"), client_port=next(_ports))
        without = self._harness.run("renumber empty", packet, _FILL_STEP).duration_ns
        duration = self._harness.run("renumber pod_egress", packet, _FILL_STEP).duration_ns
        self._harness.start_afresh()
        return duration - without

    def _measure_shots(self, first: str, last: str, wrap: Callable[[bytes], bytes]) -> tuple[float, float]:
        """Return the medians of single shots at a first and a last point, of a new message each."""
        self._harness.start_afresh()
        port = next(_ports)
        shots: dict[str, list[int]] = {"empty": [], first: [], last: []}
        for number in range(self._effort.shots):
            packet = wrap(request(deep_request("01"), seq=number * 1000, ack=number * 7, client_port=port))
            for program, durations in shots.items():
                durations.append(self._harness.run(program, packet).duration_ns)
        counts = self._harness.counts()
        if {counts.get("transits_started"), counts.get("transits_emitted")} != {self._effort.shots}:
            raise AssertionError(f"not every shot started and ended a transit: {counts}")
        self._harness.start_afresh()
        base = statistics.median(shots["empty"])
        return statistics.median(shots[first]) - base, statistics.median(shots[last]) - base

    def _fill_exchanges(self) -> None:
        for _ in range(EXCHANGES_MAX // _FILL_STEP + 1):
            # The packet is prepared from the same numbers in each step, so each step has a port of its own.
            packet = request(deep_request("01"), client_port=next(_ports))
            self._harness.run("renumber pod_egress", packet, _FILL_STEP)
            self._harness.start_afresh()


def describe() -> dict[str, str]:
    """Return what the figures under `ns` are, for the report's notes."""
    return {
        "ns": "PROG_TEST_RUN, net of an empty program in alternating runs; hot but where single shots are named",
        "ns.miss": "each run a new sequence number; miss_same_packet repeats one packet",
        "ns.stamp": "the larger of stamp_fresh (the stamp is taken back before each run) and stamp_repeated",
        "ns.unsampled_first": f"context at byte {CONTEXT_AT_BYTE} of the header block, each run a new sequence "
        "number; the larger of inner (pod-egress) and outer (nic-ingress, inside VXLAN); at_head: the same "
        "headers with the context right behind the host, as the context-first filter has it (inner)",
        "ns.first": "median of single shots, new key each, map of exchanges full as after a minute of traffic; "
        "the larger of inner (pod-egress) and outer (nic-ingress); first_hot: many in a row",
        "ns.last": "median of single shots with the record into the ring; the larger of inner (pod-ingress) and "
        "outer (nic-egress)",
    }
