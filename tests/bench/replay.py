"""A process that feeds the agent from a ring that is never empty: `python -m tests.bench.replay`, prints JSON.

Agent, sender and encoding are the real ones, on one core; the ring replays records that the programs made, and the
exporter takes every request at once. The ring holds back while the backlog is long, so what is measured is the
rate that the agent keeps up with; every transit that is offered must be delivered, or counted under a reason. The
same is done with contexts as HTTP/2 has them, in Huffman code.
"""

import ctypes
import hashlib
import json
import os
import resource
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from hopspan.errors import HopspanError
from hopspan.export_errors import ExportResult
from hopspan.logs import Log
from hopspan.version import VERSION
from node_probe.agent import BATCH_RECORDS, Agent
from node_probe.attach import Attacher
from node_probe.bpf import BpfMap, possible_cpus
from node_probe.clock import read_clock_id
from node_probe.counters import Event
from node_probe.kept_flows import KeptFlows
from node_probe.kernel_record import RECORD_BYTES
from node_probe.programs import RING_BYTES, SWEEP, load_programs
from node_probe.ring import RingReader
from node_probe.sender import Sender
from node_probe.sweep import sweep_transits
from node_probe.tally import Tally
from node_probe.transit import Direction, NodeIdentity
from tests.bench.samples import deep_request
from tests.bench.stream_samples import stream_request
from tests.kernel.bpf_harness import Harness
from tests.kernel.packets import request, vxlan
from tests.node_probe.bursts import make_burst

RECORDS = 4000
"""Different records that are replayed in turn: more than a batch, and more contexts than the agent remembers."""

KEPT_BURSTS = 20_000
"""Of each round; to make them takes longer than to keep them."""

BACKLOG_ENOUGH = 20_000
"""Transits waiting at which the ring holds back: ten batches, and well below what the backlog holds by default."""

_CLONE_NEWNET = 0x40000000
_THREAD_TIMEOUT_S = 30

TRACE_IDS = [hashlib.sha256(b"%d" % number).hexdigest()[:32] for number in range(RECORDS)]


class ReplayedRing(RingReader):
    """A ring whose next records are always there, until `total` have been read."""

    def __init__(self, records: list[bytes], total: int) -> None:
        """Replay the records; the agent whose backlog paces the ring is set later."""
        self._records = records
        self._left = total
        self.agent: Agent | None = None

    def read(self, limit: int) -> list[bytes]:
        """Return the next records, none while the agent's backlog is long."""
        assert self.agent is not None
        if len(self.agent.backlog) > BACKLOG_ENOUGH:
            return []
        wanted = min(limit, self._left)
        self._left -= wanted
        if not self._left:
            self.agent.stopping.set()
        turns = wanted // len(self._records) + 1
        return (self._records * turns)[:wanted]

    def fill_bytes(self) -> int:
        """Return the bytes left."""
        return self._left * RECORD_BYTES


@dataclass
class NullExporter:
    """Takes every request, and remembers when it took the last."""

    last_ns: int = 0
    sizes: list[int] = field(default_factory=list)

    def export(self, request: bytes) -> ExportResult:
        """Take the request."""
        self.sizes.append(len(request))
        self.last_ns = time.monotonic_ns()
        return ExportResult()


def record_transits(fds: dict[str, int], make_payload: Callable[[int], bytes]) -> list[bytes]:
    """Return records as they come from the client's node: four points and a tunnel, each of its own payload."""
    harness = Harness(fds)
    ring = RingReader(fds["ring"], RING_BYTES)
    records = []
    for number in range(RECORDS):
        # Ports of their own: within one connection a second request is pipelined until the first is answered.
        packet = request(make_payload(number), client_port=1024 + number, seq=number * 777)
        for program in ("pod_egress", "veth_ingress", "overlay_egress"):
            harness.run(program, packet)
        harness.run("nic_egress", vxlan(packet))
        records += ring.read(1)
    if len(records) != RECORDS:
        raise HopspanError(f"{len(records)} records were made instead of {RECORDS}")
    return records


def record_requests(fds: dict[str, int]) -> list[bytes]:
    """Return records of requests over HTTP/1.1, each of its own trace."""
    return record_transits(fds, lambda number: deep_request("01", TRACE_IDS[number]))


def record_streams(fds: dict[str, int]) -> list[bytes]:
    """Return records of requests over HTTP/2, each followed by that of a response with the same coded context."""
    records = record_transits(fds, lambda number: stream_request(TRACE_IDS[number], 2 * number + 1))
    return [record[:1] + bytes([direction]) + record[2:] for record in records for direction in Direction]


def replay(fds: dict[str, int], records: list[bytes], total: int) -> dict[str, float]:
    """Send `total` transits through an agent; return rates and counts."""
    log = Log()
    tally = Tally(BpfMap(fds["counters"], 4, 8 * possible_cpus()))
    ring = ReplayedRing(records, total)
    attacher = Attacher(fds, log, tcx=True)
    agent = ring.agent = Agent(ring, partial(sweep_transits, fds[SWEEP]), attacher, tally, log)
    agent.identify(NodeIdentity("node-1", "0" * 32, "node-1", read_clock_id()), VERSION)
    exporter = NullExporter()
    sender = Sender(agent.backlog, exporter, agent.make_request, tally, log)
    started_ns, cpu_ns = time.monotonic_ns(), time.process_time_ns()
    sender.start()
    agent.run(BpfMap(fds["settings"], 4, 16), (), 0, pod=False)
    sender.stop()
    cpu_ns = time.process_time_ns() - cpu_ns
    sent = tally.events.read()[Event.TRANSITS_SENT]
    lost = sum(tally.reasons.read().values())
    log.close()
    return {
        "transits_per_s": sent / (exporter.last_ns - started_ns) * 1e9,
        "us_cpu": cpu_ns / 1e3 / max(1, sent),
        "lost": lost,
        "uncounted": total - sent - lost,
        "bytes_per_transit": sum(exporter.sizes) / max(1, sent),
    }


def keep_bursts(total: int) -> float:
    """Return the CPU time in us that keeping a burst of TLS takes, of both directions of 200 connections."""
    kept, cpu_ns = KeptFlows(), 0
    for first in range(0, total, BATCH_RECORDS):
        records = [
            make_burst(
                1000 * at, is_coming=bool(at % 2), client_port=1024 + at % 200, seq=at * 777, number=at % 65536
            )
            for at in range(first, first + BATCH_RECORDS)
        ]
        started_ns = time.process_time_ns()
        kept.keep(records)
        cpu_ns += time.process_time_ns() - started_ns
    return cpu_ns / 1e3 / kept.count


def main() -> int:
    """Replay as many transits as the argument says, as often as the second says, and print a JSON list."""
    total, rounds = int(sys.argv[1]), int(sys.argv[2])
    # A namespace of our own has no device to attach to, and one core is what the figure is about.
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare of the network namespace")
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    fds = dict(load_programs())
    peak_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    records = record_requests(fds)
    streams = record_streams(fds)
    results = []
    for _ in range(rounds):
        of_coded = {f"coded_{name}": figure for name, figure in replay(fds, streams, total).items()}
        results.append(replay(fds, records, total) | of_coded | {"kept_us_cpu": keep_bursts(KEPT_BURSTS)})
    sys.stdout.write(f"{json.dumps({'compile_child_peak_mib': peak_mib, 'rounds': results})}\n")
    for thread in set(threading.enumerate()) - {threading.current_thread()}:
        thread.join(_THREAD_TIMEOUT_S)  # a busy machine lets those that have nothing to do any more wait
        assert not thread.is_alive()
    return 0


if __name__ == "__main__":
    sys.exit(main())
