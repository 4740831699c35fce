"""Measures what first points take of TLS where flows are followed: what begins a message, and what follows in one.

The programs are compiled for that alone, so they are loaded beside those of all other figures. That each packet took
its way is checked by the programs' own counters.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing

from node_probe.programs import CALLED_FOR_FLOWS
from node_probe.transit import ContextFormat
from testbed.capture_file import PLAIN_TCP
from testbed.kernel_facts import read_program_facts
from testbed.minimal_reader import UNREACHED_RATE
from tests.bench.bytecode import load_advancing, load_empty
from tests.bench.timed_runs import IN_A_ROW, Effort, Timer
from tests.compiled.loaded import loaded_programs
from tests.kernel.bpf_harness import Harness
from tests.kernel.packets import request

PAYLOAD_BYTES = 600
"""As many as the segment has that is no HTTP."""

_SEQ, _ACK = PLAIN_TCP + 4, PLAIN_TCP + 8
_SEEN = frozenset({"tls_seen", "transits_started", "transits_emitted", "transit_map_full"})


def make_record() -> bytes:
    """Return one record of application data, which is all of a payload."""
    head = b"\x17\x03\x03" + (PAYLOAD_BYTES - 5).to_bytes(2, "big")
    return head + os.urandom(PAYLOAD_BYTES - len(head))


class TlsRuns:
    """The program that first points call for TLS, fed with directions of connections that are known."""

    def __init__(self, effort: Effort, stack: ExitStack, ports: Iterator[int]) -> None:
        """Compile and load. `ports` are client ports that nothing else uses. Raises ProbeError."""
        fds = {**stack.enter_context(loaded_programs(ContextFormat)), "empty": load_empty(stack)}
        self.verified = {CALLED_FOR_FLOWS: read_program_facts(fds[CALLED_FOR_FLOWS]).get("verified_insns")}
        for kind, steps in (("begin", {_SEQ: PAYLOAD_BYTES, _ACK: 1}), ("follow", {_SEQ: PAYLOAD_BYTES})):
            for name in ("pod_egress", "empty"):
                fds[f"{kind} {name}"] = load_advancing(stack, fds[name], steps)
        self._harness = stack.enter_context(closing(Harness(fds)))
        self._harness.configure(rate_limit=UNREACHED_RATE)
        self._timer = Timer(self._harness, effort)
        self._effort = effort
        self._ports = ports
        self._record = make_record()

    def measure(self) -> dict[str, float]:
        """Return the figures of one round."""
        figures: dict[str, float] = {}
        figures["tls_first"], figures["tls_last"] = self._measure_shots()
        figures["tls_first_hot"] = self._measure_row()
        figures["tls_other"] = self._measure_followers()
        self._harness.start_afresh()
        return figures

    def _measure_shots(self) -> tuple[float, float]:
        self._harness.start_afresh()
        port = self._meet()
        packets = (
            request(self._record, seq=number * PAYLOAD_BYTES, ack=number, client_port=port)
            for number in range(1, self._effort.shots + 1)
        )
        figures = self._timer.time_shots("pod_egress", "pod_ingress", packets)
        self._require({"tls_flow": self._effort.shots})
        return figures

    def _measure_row(self) -> float:
        packet = request(self._record, seq=0, ack=0, client_port=self._meet())
        duration = self._timer.time_row("begin pod_egress", "begin empty", packet)
        self._require({"tls_flow": IN_A_ROW})
        return duration

    def _measure_followers(self) -> float:
        self._harness.start_afresh()
        port = self._meet()
        self._harness.run("pod_egress", request(self._record, seq=PAYLOAD_BYTES, ack=1, client_port=port))
        self._harness.start_afresh()
        packet = request(self._record, seq=PAYLOAD_BYTES, ack=1, client_port=port)
        duration, _ = self._timer.time_pairs("follow pod_egress", "follow empty", packet)
        self._require({"flow_followed": 1})
        return duration

    def _meet(self) -> int:
        """Let a direction be met, so that its next segment is no unknown one's; return its client's port."""
        port = next(self._ports)
        self._harness.run("pod_egress", request(self._record, seq=0, ack=0, client_port=port))
        self._harness.forget_counts()
        return port

    def _require(self, expected: dict[str, int]) -> None:
        counts = {label: count for label, count in self._harness.counts().items() if label not in _SEEN}
        if counts != expected:
            raise AssertionError(f"these packets took another way: {counts} instead of {expected}")
