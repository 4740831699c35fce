"""The agent: turns what the kernel hands over into spans that wait to be sent, until it is told to stop.

One thread reads ring, map and netlink in turn; the sender has its own. Opens nothing itself: `__main__` composes it.
"""

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from hopspan.logs import Log
from hopspan.stop import StopRequest
from node_probe.attach import Attacher
from node_probe.backlog import Backlog
from node_probe.bpf import BpfMap
from node_probe.changes import ChangeWatch
from node_probe.clock import monotonic_ns, process_cpu_ns, read_epoch_offset_ns
from node_probe.counters import Event, Reason
from node_probe.device_dump import list_devices
from node_probe.devices import Plan, name_devices, plan_points
from node_probe.governor import Governor
from node_probe.heartbeat import Heartbeat
from node_probe.hop_histograms import HopHistograms
from node_probe.interfaces import POD_BIT
from node_probe.kernel_burst import divide_bursts
from node_probe.pace import Pace
from node_probe.request_writer import RequestWriter
from node_probe.ring import RingReader
from node_probe.span_writer import SpanBatch, SpanWriter
from node_probe.sweep import MIN_AGE_NS
from node_probe.tally import Tally
from node_probe.transit import NodeIdentity

READ_INTERVAL_S = 0.1
"""How often the ring is read, which holds 0.7 s of 20,000 records a second. What was read is sent at once, so that a
transit leaves within the 200 ms that the join expects; and each round costs half a millisecond beside its records."""

READ_LIMIT = 5000
"""Records a round, so that netlink and the sweep get their turn in a flood; the next round then begins at once."""

BATCH_RECORDS = 500
"""Records whose spans become one batch: a quarter of what a request holds."""

SWEEP_INTERVAL_NS = 250_000_000
"""A transit that meets no last point takes room for a quarter of a second more than it has to."""

MAX_TUNNEL_PORTS = 4
"""Room in the programs' settings; a node has one or two."""

_SETTINGS = struct.Struct("=8sII")
_FIRST = bytes(4)


class Flows(Protocol):
    """What keeps the bursts of TLS, and knows who claims them."""

    def keep(self, records: list[bytes]) -> None:
        """Keep the kernel's records of bursts."""

    def turn(self, read_ns: int, now_ns: int, lost: int | None) -> list[bytes]:
        """Return the records of what was claimed; see FlowKeeper."""


class Agent:
    """Reads the kernel's records, and keeps the points in step with the node's devices."""

    def __init__(
        self, ring: RingReader, sweep: Callable[[int], None], attacher: Attacher, tally: Tally, log: Log
    ) -> None:
        """Take the doors; nothing is attached before `run`. Until then the public parts may be replaced.

        `sweep` has the transits that started so many nanoseconds ago put into the ring.
        """
        self.backlog = Backlog()
        self.governor = Governor()
        self.heartbeat = Heartbeat()
        self.hops = HopHistograms()
        self.consumers: Sequence[Callable[[list[bytes], int], None]] = (self.hops.observe, self.write_spans)
        """What becomes of the records that are kept: each takes them with the clock's offset of their reading."""
        self.flows: Flows | None = None
        """What keeps the bursts, where flows are asked for. Else they go to the consumers, like all others."""
        self.tally = tally
        self.attacher = attacher
        self.stopping = StopRequest()
        self._ring = ring
        self._sweep = sweep
        self._log = log
        self._names: Mapping[int, str] = {}
        self._told: dict[str, tuple[str, ...]] = {}
        self.identify(NodeIdentity("", "", "", ""), "")

    def identify(self, node: NodeIdentity, version: str) -> None:
        """Say from now on that the transits come from `node`, and from a probe of `version`. Before `run`."""
        self._spans = SpanWriter(node.name)
        self._requests = RequestWriter(node, version)

    def run(self, settings: BpfMap, exclude: Iterable[str], rate_limit: int, *, pod: bool) -> None:
        """Attach, say so in the log, and read until `stopping` is set; then detach and read what is left."""
        exclude = tuple(exclude)

        def follow() -> int:
            return self._follow_devices(settings, exclude, rate_limit, pod=pod)

        watch = ChangeWatch()
        try:
            self._read_until_stopped(watch, follow, self._attach_all(follow))
        finally:
            watch.close()
            self.attacher.close()
        self._read_all()
        # Nothing is attached any more: what is under way never meets its last point.
        self._sweep(0)
        self._read_all()

    def make_request(self, batches: Sequence[SpanBatch]) -> bytes:
        """Return the OTLP request of some batches, with the clock's anchor and the interfaces' names of now."""
        pods = {POD_BIT | host: name for host, name in self.attacher.pod_device_names().items()}
        # Two offsets meet here, and both are right: a span's times are by that of its reading, and stock tools alone
        # use them; the join takes the monotonic stamps of the record, and places them by the resource's, of now.
        return self._requests.write(batches, read_epoch_offset_ns(), {**self._names, **pods})

    def ring_fill_bytes(self) -> int:
        """Return how many bytes of records wait in the ring."""
        return self._ring.fill_bytes()

    def _attach_all(self, follow: Callable[[], int]) -> int:
        failures = follow()
        while self.attacher.has_more and not self.stopping.wait(0):
            failures = follow()
            self._read_ring()
        points, mechanism = len(self.attacher.attached), self.attacher.mechanism
        self.heartbeat.begin(monotonic_ns(), failures, f"{points} points by {mechanism}")
        self._log.info("ready", points=points, mechanism=mechanism)
        return failures

    def _read_until_stopped(self, watch: ChangeWatch, follow: Callable[[], int], failures: int) -> None:
        next_sweep_ns = 0
        full = False
        pace = Pace()
        pace.note_plan(0, 0, failures=failures)
        while not self.stopping.wait(0 if full or self.attacher.has_more else READ_INTERVAL_S):
            read_ns = monotonic_ns()
            full = self._read_ring() == READ_LIMIT
            now_ns = monotonic_ns()
            self._answer_claims(read_ns, is_all_read=not full)
            self.governor.observe(now_ns, process_cpu_ns())
            self.heartbeat.beat(now_ns, failures)
            if now_ns >= next_sweep_ns:
                self._sweep(MIN_AGE_NS)
                self.attacher.keep_guarded()
                next_sweep_ns = now_ns + SWEEP_INTERVAL_NS
            if watch.drain():
                pace.note_change()
            if self.attacher.has_more or pace.is_due(now_ns):
                failures = follow()
                pace.note_plan(now_ns, monotonic_ns(), failures=failures)

    def _follow_devices(self, settings: BpfMap, exclude: tuple[str, ...], rate_limit: int, *, pod: bool) -> int:
        try:
            devices = list_devices()
        except OSError as error:
            self._log.warn("the devices cannot be listed", error=str(error))
            return 1
        plan = plan_points(devices, exclude, pod=pod)
        self._names = name_devices(devices)
        self._tell_change("devices that are no points", plan.reasons)
        self._tell_change("tunnel ports that the programs do not read", list_unread_ports(plan))
        write_settings(settings, plan, rate_limit)
        before = self.attacher.attached
        failures = self.attacher.apply(plan)
        self._spans.use_hosts(self.attacher.hosts_of_pods())
        if self.attacher.attached != before:
            self._log.info("points changed", points=len(self.attacher.attached), failures=failures)
        return failures

    def _tell_change(self, message: str, reasons: tuple[str, ...]) -> None:
        told = self._told.get(message, ())
        new = [reason for reason in reasons if reason not in told]
        if new:
            self._log.info(message, reasons="; ".join(new))
        self._told[message] = reasons

    def _read_ring(self) -> int:
        records = self._ring.read(READ_LIMIT)
        self._take_records(records)
        return len(records)

    def _read_all(self) -> None:
        while self._read_ring() == READ_LIMIT:
            pass

    def _take_records(self, records: list[bytes]) -> None:
        if not records:
            return
        self.tally.events.add(Event.RECORDS_READ, len(records))
        if self.flows is not None:
            bursts, others = divide_bursts(records)
            self.flows.keep(self._let_go(bursts, self.governor.select_bursts(bursts)))
            records = others
        self._consume(self._let_go(records, self.governor.select(records)))

    def _let_go(self, records: list[bytes], kept: list[bytes]) -> list[bytes]:
        self.tally.reasons.add(Reason.CPU_CEILING, len(records) - len(kept))
        return kept

    def _consume(self, records: list[bytes]) -> None:
        epoch_offset_ns = read_epoch_offset_ns()
        for consume in self.consumers:
            consume(records, epoch_offset_ns)

    def _answer_claims(self, read_ns: int, *, is_all_read: bool) -> None:
        """Hand on what was claimed as if it had just been read; `read_ns` is from before the ring was read."""
        if self.flows is None:
            return
        lost = self.tally.read_burst_losses() + self.tally.reasons.read()[Reason.CPU_CEILING] if is_all_read else None
        claimed = self.flows.turn(read_ns, monotonic_ns(), lost)
        if claimed:
            self._consume(claimed)

    def write_spans(self, records: list[bytes], epoch_offset_ns: int) -> None:
        """Have the records wait as spans; what cannot be written is counted."""
        batches: list[SpanBatch] = []
        for start in range(0, len(records), BATCH_RECORDS):
            written = self._spans.write(records[start : start + BATCH_RECORDS], epoch_offset_ns)
            self.tally.reasons.add(Reason.BAD_CONTEXT, written.bad_contexts)
            self.tally.reasons.add(Reason.UNSAMPLED, written.unsampled)
            for error in written.bad_records:
                self.tally.reasons.add(Reason.BAD_RECORD)
                self._log.error("the kernel's record cannot be read", error=str(error))
            if written.batch is not None:
                batches.append(written.batch)
        # Together: the sender then has one request to send for this round, not one for each batch.
        self.tally.reasons.add(Reason.BACKLOG_FULL, self.backlog.add(batches))


def list_unread_ports(plan: Plan) -> tuple[str, ...]:
    """Return the tunnel ports that `write_settings` has no room for, each with what follows from it."""
    return tuple(
        f"{port}: beyond the first {MAX_TUNNEL_PORTS}, so its packets are met at no underlay point"
        for port in plan.tunnel_ports[MAX_TUNNEL_PORTS:]
    )


def write_settings(settings: BpfMap, plan: Plan, rate_limit: int) -> None:
    """Tell the programs the rate limit and the tunnels' ports, the first MAX_TUNNEL_PORTS of them."""
    ports = [*plan.tunnel_ports[:MAX_TUNNEL_PORTS], *[0] * MAX_TUNNEL_PORTS][:MAX_TUNNEL_PORTS]
    settings.update(_FIRST, _SETTINGS.pack(struct.pack("!4H", *ports), rate_limit, 0))
