"""The agent: turns what the kernel hands over into transits that wait to be sent, until it is told to stop.

One thread reads ring, map and netlink in turn; the sender has its own. Opens nothing itself: `__main__` composes it.
"""

import struct
from collections.abc import Iterable, Mapping

from hopspan.counters import Counters
from hopspan.logs import Log
from hopspan.stop import StopRequest
from node_probe.attach import Attacher
from node_probe.backlog import Backlog
from node_probe.bpf import BpfMap
from node_probe.changes import ChangeWatch
from node_probe.clock import monotonic_ns, process_cpu_ns, read_epoch_offset_ns
from node_probe.counters import Event, KernelCounter, Reason, sum_over_cpus
from node_probe.devices import Plan, name_devices, plan_points
from node_probe.governor import Governor
from node_probe.heartbeat import Heartbeat
from node_probe.interfaces import POD_BIT, identify_interfaces
from node_probe.kernel_record import KernelRecordError, decode_kernel_record
from node_probe.netlink import Netlink
from node_probe.ring import RingReader
from node_probe.sweep import sweep_transits
from node_probe.transit import Transit, TransitFlag
from node_probe.wire_batch import NodeIdentity, TransitBatch, encode_batch

READ_INTERVAL_S = 0.05
"""How often the ring is read: it holds 0.7 s of 20,000 records a second, and idle it wakes 20 times a second."""

READ_LIMIT = 5000
"""Records a round, so that netlink and the sweep get their turn in a flood."""

SWEEP_INTERVAL_NS = 1_000_000_000
RETRY_PLAN_INTERVAL_NS = 1_000_000_000
"""A device may appear before its namespace can be entered; and netlink may say nothing of the difference."""

_MAX_TUNNEL_PORTS = 4
_SETTINGS = struct.Struct("=8sII")
_FIRST = bytes(4)


class Tally:
    """What the agent counts, and the kernel's counters beside it."""

    def __init__(self, kernel: BpfMap) -> None:
        """`kernel` is the per-CPU array of the programs."""
        self.reasons: Counters[Reason] = Counters(Reason)
        self.events: Counters[Event] = Counters(Event)
        self._kernel = kernel

    def read_kernel(self) -> dict[KernelCounter, int]:
        """Return the programs' counters, summed over the CPUs."""
        values = {counter: self._kernel.lookup(struct.pack("=i", counter)) for counter in KernelCounter}
        return {counter: sum_over_cpus(value or b"") for counter, value in values.items()}


class Agent:
    """Reads the kernel's records, and keeps the points in step with the node's devices."""

    def __init__(self, ring: RingReader, transits: BpfMap, attacher: Attacher, tally: Tally, log: Log) -> None:
        """Take the doors; nothing is attached before `run`. Until then the public parts may be replaced."""
        self.backlog = Backlog()
        self.governor = Governor()
        self.heartbeat = Heartbeat()
        self.tally = tally
        self.attacher = attacher
        self.stopping = StopRequest()
        self._ring = ring
        self._transits = transits
        self._log = log
        self._names: Mapping[int, str] = {}
        self._reasons: tuple[str, ...] = ()
        self._hosts_of_pods: Mapping[int, tuple[int, ...]] = {}

    def run(self, settings: BpfMap, exclude: Iterable[str], rate_limit: int, *, pod: bool) -> None:
        """Attach, say so in the log, and read until `stopping` is set; then detach and read what is left."""
        exclude = tuple(exclude)
        watch = ChangeWatch()
        try:
            failures = self._follow_devices(settings, exclude, rate_limit, pod=pod)
            while self.attacher.has_more and not self.stopping.wait(0):
                failures = self._follow_devices(settings, exclude, rate_limit, pod=pod)
                self._read_ring()
            points, mechanism = len(self.attacher.attached), self.attacher.mechanism
            self.heartbeat.begin(monotonic_ns(), failures, f"{points} points by {mechanism}")
            self._log.info("ready", points=points, mechanism=mechanism)
            next_sweep_ns = next_plan_ns = 0
            while not self.stopping.wait(READ_INTERVAL_S):
                self._read_ring()
                now_ns = monotonic_ns()
                self.governor.observe(now_ns, process_cpu_ns())
                self.heartbeat.beat(now_ns, failures)
                if now_ns >= next_sweep_ns:
                    self._sweep(now_ns)
                    next_sweep_ns = now_ns + SWEEP_INTERVAL_NS
                if watch.drain() or self.attacher.has_more or (failures and now_ns >= next_plan_ns):
                    failures = self._follow_devices(settings, exclude, rate_limit, pod=pod)
                    next_plan_ns = now_ns + RETRY_PLAN_INTERVAL_NS
        finally:
            watch.close()
            self.attacher.close()
        while self._read_ring() == READ_LIMIT:
            pass
        # Nothing is attached any more, so what is left in the map is as good as swept.
        self._sweep(monotonic_ns() + SWEEP_INTERVAL_NS)

    def make_request(self, transits: list[Transit], node: NodeIdentity, version: str) -> bytes:
        """Return the OTLP request of some transits, with the clock's anchor and the interfaces' names of now."""
        pods = {POD_BIT | host: name for host, name in self.attacher.pod_device_names().items()}
        batch = TransitBatch(node, read_epoch_offset_ns(), {**self._names, **pods}, tuple(transits))
        return encode_batch(batch, version)

    def ring_fill_bytes(self) -> int:
        """Return how many bytes of records wait in the ring."""
        return self._ring.fill_bytes()

    def _follow_devices(self, settings: BpfMap, exclude: tuple[str, ...], rate_limit: int, *, pod: bool) -> int:
        with Netlink() as netlink:
            devices = netlink.list_devices()
        plan = plan_points(devices, exclude, pod=pod)
        self._names = name_devices(devices)
        if plan.reasons != self._reasons:
            self._log.info("devices that are no points", reasons="; ".join(plan.reasons))
            self._reasons = plan.reasons
        write_settings(settings, plan, rate_limit)
        before = self.attacher.attached
        failures = self.attacher.apply(plan)
        self._hosts_of_pods = self.attacher.hosts_of_pods()
        if self.attacher.attached != before:
            self._log.info("points changed", points=len(self.attacher.attached), failures=failures)
        return failures

    def _read_ring(self) -> int:
        records = self._ring.read(READ_LIMIT)
        self._take_records(records, 0)
        return len(records)

    def _sweep(self, now_ns: int) -> None:
        records = sweep_transits(self._transits, now_ns)
        self.tally.events.add(Event.TRANSITS_SWEPT, len(records))
        self._take_records(records, TransitFlag.PARTIAL)

    def _take_records(self, records: list[bytes], extra_flags: int) -> None:
        transits: list[Transit] = []
        kept = self.governor.select(records)
        self.tally.reasons.add(Reason.CPU_CEILING, len(records) - len(kept))
        for data in kept:
            try:
                record = decode_kernel_record(data, extra_flags)
            except KernelRecordError as error:
                self.tally.reasons.add(Reason.BAD_RECORD)
                self._log.error("the kernel's record cannot be read", error=str(error))
                continue
            self.tally.reasons.add(Reason.BAD_CONTEXT, len(record.bad_contexts))
            transits += [identify_interfaces(transit, self._hosts_of_pods) for transit in record.transits]
        self.tally.events.add(Event.RECORDS_READ, len(records))
        self.tally.reasons.add(Reason.BACKLOG_FULL, self.backlog.add(transits))


def write_settings(settings: BpfMap, plan: Plan, rate_limit: int) -> None:
    """Tell the programs the tunnels' ports and the rate limit. The first four ports count; a node has one or two."""
    ports = [*plan.tunnel_ports[:_MAX_TUNNEL_PORTS], *[0] * _MAX_TUNNEL_PORTS][:_MAX_TUNNEL_PORTS]
    settings.update(_FIRST, _SETTINGS.pack(struct.pack("!4H", *ports), rate_limit, 0))
