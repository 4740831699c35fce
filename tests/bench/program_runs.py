"""Measures single programs by PROG_TEST_RUN, net of an empty one: ns a run, hot, or as median of single shots.

What a run did is checked by the programs' own counters: a figure of the wrong path would be worse than none.
"""

import itertools
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from typing import Any

from node_probe.kernel_record import RECORD_FIELDS
from node_probe.programs import CALLED, PROGRAMS, SWEEP
from node_probe.tables import KEY_BYTES
from testbed.capture_file import IN_TUNNEL_TCP, PLAIN_TCP
from testbed.kernel_facts import read_program_facts
from testbed.load import CONTEXT_AT_BYTE
from testbed.minimal_reader import UNREACHED_RATE
from tests.bench.bytecode import load_empty, load_renumbering, load_unstamping
from tests.bench.figures import spread
from tests.bench.samples import deep_request, head_request
from tests.bench.stream_runs import IN_FRAME, SEGMENT_BYTES, StreamRuns
from tests.bench.timed_runs import IN_A_ROW, Effort, Timer
from tests.bench.tls_runs import PAYLOAD_BYTES, TlsRuns, make_record
from tests.compiled.loaded import loaded_programs
from tests.kernel.bpf_harness import Harness
from tests.kernel.packets import request, vxlan

EXCHANGES_MAX = 65_536
"""As in bpf/limits.h: first points are measured with this map full, as it is on a node after a minute of traffic."""

_ports = itertools.count(10_000)
"""Client ports: exchanges outlive a transit, so each transit gets one of its own."""


class ProgramRuns:
    """The loaded programs beside the empty one and those that prepare a run."""

    def __init__(self, effort: Effort) -> None:
        """Compile and load. Raises ProbeError."""
        self._effort = effort
        self._stack = ExitStack()
        self._fds = {**self._stack.enter_context(loaded_programs()), "empty": load_empty(self._stack)}
        facts = {name: read_program_facts(self._fds[name]) for name in (*PROGRAMS, *CALLED, SWEEP)}
        self.verified = {name: told.get("verified_insns") for name, told in facts.items()}
        for name, offset in (("empty", PLAIN_TCP), ("overlay_egress", PLAIN_TCP), ("pod_egress", PLAIN_TCP)):
            self._fds[f"renumber {name}"] = load_renumbering(self._stack, self._fds[name], offset)
        for name in ("empty", "nic_ingress"):
            self._fds[f"renumber inner {name}"] = load_renumbering(self._stack, self._fds[name], IN_TUNNEL_TCP)
        self._harness = self._stack.enter_context(closing(Harness(self._fds)))
        self._harness.configure(rate_limit=UNREACHED_RATE)
        self._timer = Timer(self._harness, effort)
        self._streams = StreamRuns(self._harness, self._timer, effort, self._stack, _ports)
        self._tls = TlsRuns(effort, self._stack, _ports)
        self.verified |= self._tls.verified

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
            figures[name] = _larger(figures, f"{name}_inner", f"{name}_outer")
        for name in ("h2_first", "h2_first_hot", "h2_last", "h2_unsampled"):
            figures[name] = _larger(figures, f"{name}_coded", f"{name}_plain")
        figures["h2_other"] = _larger(figures, "h2_other_data", "h2_other_control", "h2_other_inside")
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
            "tls_off": self._measure_hot("pod_egress", "empty", request(make_record())),
        }
        if "transits_started" in self._harness.counts():
            raise AssertionError("a packet that should start no transit did")
        figures |= self._measure_stamp(client_port=next(_ports))
        figures["first_hot"] = self._measure_first_hot()
        inner = self._measure_shots("pod_egress", "pod_ingress", lambda frame: frame)
        outer = self._measure_shots("nic_ingress", "nic_egress", vxlan)
        figures["first_inner"], figures["last_inner"] = inner
        figures["first_outer"], figures["last_outer"] = outer
        return figures | self._streams.measure() | self._tls.measure()

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
        return self._timer.time_pairs(program, base, packet)[0]

    def _measure_first_hot(self) -> float:
        packet = request(deep_request("01"), client_port=next(_ports))
        duration = self._timer.time_row("renumber pod_egress", "renumber empty", packet)
        self._harness.start_afresh()
        return duration

    def _measure_shots(self, first: str, last: str, wrap: Callable[[bytes], bytes]) -> tuple[float, float]:
        port = next(_ports)
        numbers = range(self._effort.shots)
        packets = (request(deep_request("01"), seq=n * 1000, ack=n * 7, client_port=port) for n in numbers)
        figures = self._timer.time_shots(first, last, map(wrap, packets))
        self._harness.start_afresh()
        return figures

    def _fill_exchanges(self) -> None:
        for _ in range(EXCHANGES_MAX // IN_A_ROW + 1):
            # The packet is prepared from the same numbers in each step, so each step has a port of its own.
            packet = request(deep_request("01"), client_port=next(_ports))
            self._harness.run("renumber pod_egress", packet, IN_A_ROW)
            self._harness.start_afresh()


def _larger(figures: Mapping[str, dict[str, float]], *names: str) -> dict[str, float]:
    """Return the figure with the largest median."""
    return max((figures[name] for name in names), key=lambda figure: figure["median"])


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
        "ns.h2_first": "as ns.first, of a call of gRPC: a new stream and context each on one connection, header "
        "block and message in one segment; the larger of coded (as Go sends it, the context in Huffman's code behind "
        "a known name) and plain (as the C core does, 290 bytes written out); h2_first_hot, h2_last: of the same",
        "ns.h2_unsampled": "the same calls, not sampled: many in a row",
        "ns.h2_other": f"a segment of {SEGMENT_BYTES} bytes without a header block, on a known connection: the "
        "largest of data (it begins a frame of data), control (a WINDOW_UPDATE, a PING, and data) and inside (it "
        f"lies inside a frame; {IN_FRAME} in a row)",
        "ns.tls_first": "as ns.first, of a segment that begins a message of TLS on a known connection (pod-egress), "
        "by programs that follow flows; tls_first_hot, tls_last: of the same",
        "ns.tls_other": f"a segment of {PAYLOAD_BYTES} bytes that is one record and follows in a burst",
        "ns.tls_off": "the same segment at pod-egress, by the programs that follow no flows",
    }
