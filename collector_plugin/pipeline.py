"""The way of a request through the plugin: transits to the join, application spans on at once, network spans after.

Application spans depend on nothing but the exporter that acknowledges: whatever the join does, they are delivered as
they came. Nor do they wait for it: the join takes in what came when network spans are due.
"""

import itertools
import threading
import time
from collections.abc import Callable

import msgspec

from collector_plugin.acknowledge import Acknowledger
from collector_plugin.arrivals import Arrival, Arrivals
from collector_plugin.claims import Claims
from collector_plugin.delivery import Delivery
from collector_plugin.flow_names import FlowNames, NamedFlow
from collector_plugin.join import Join
from collector_plugin.network_span import Emission
from collector_plugin.otlp_spans import encode_emissions
from collector_plugin.otlp_walk import ApplicationSpans, TransitSlice, walk_request
from collector_plugin.outcomes import ReceiveOutcome
from collector_plugin.parcel import Done
from collector_plugin.reasons import TransitReason
from collector_plugin.sending_queue import SendingQueue
from collector_plugin.span_request import SpanFormat, SpanRequest
from collector_plugin.zipkin_flows import ZipkinFlows
from collector_plugin.zipkin_spans import encode_zipkin
from collector_plugin.zipkin_walk import walk_zipkin
from hopspan.counters import Counters
from hopspan.export_errors import ExportError, ExportResult, PermanentExportError
from hopspan.logs import Log
from hopspan.protowire import WireError
from node_probe.wire_batch import BatchError, RawBatch, read_batch

ARRIVALS_A_TURN = 4
"""What the join takes in, some 2 ms of work, until others have their turn; one at a time would cost more."""


class Outlets(msgspec.Struct, frozen=True):
    """Where spans leave the plugin."""

    delivery: Acknowledger
    """For application spans: the first exporter's, or what lets them go."""
    application: tuple[SendingQueue, ...]
    """The other exporters', for copies of application spans."""
    network: tuple[SendingQueue, ...]
    """Every exporter's, for network spans."""


class Flows(msgspec.Struct, frozen=True):
    """What claims the flows that spans name, where that is wanted."""

    names: FlowNames
    claims: Claims


class _Received(msgspec.Struct, frozen=True):
    """What one client's request holds."""

    request: SpanRequest
    """What is passed on; without bytes where that is nothing."""
    application: list[ApplicationSpans]
    transits: list[TransitSlice]
    flows: list[NamedFlow] = []


_ENCODERS = {SpanFormat.OTLP: encode_emissions, SpanFormat.ZIPKIN: encode_zipkin}


class Pipeline:
    """Takes requests in, from any thread, and lets network spans out when `tick` is called."""

    def __init__(self, join: Join, outlets: Outlets, version: str, log: Log, flows: Flows | None = None) -> None:
        """`version` is that of the network spans' scope. The join is used under `lock` alone."""
        self.lock = threading.Lock()
        self.arrivals = Arrivals()
        self.outcomes = Counters(ReceiveOutcome)
        self._join = join
        self._outlets = outlets
        self._version = version
        self._log = log
        self.flows = flows
        self._zipkin_flows = ZipkinFlows(flows.names) if flows is not None else None

    @property
    def waits(self) -> bool:
        """Whether the answer to a client waits for a peer."""
        return self._outlets.delivery.waits

    def converts(self, span_format: SpanFormat) -> bool:
        """Tell whether any exporter takes another format."""
        return any(queue.format is not span_format for queue in self._outlets.network)

    def accept(self, data: bytes, is_wanted: Callable[[], bool], now_ns: int) -> ExportResult:
        """Take in one ExportTraceServiceRequest; return once its application spans were delivered.

        Raises WireError or TooManySpansError for a request that cannot be taken, and ExportError for one that could
        not be delivered. Its transits and parents are taken in even then: they may come again, and are known then.
        """
        return self._accept(self._read_otlp(data), is_wanted, now_ns)

    def begin(self, data: bytes, is_wanted: Callable[[], bool], now_ns: int, done: Done) -> None:
        """Do as `accept`, but wait for nothing: `done` gets what it would return, or the error of the delivery.

        For a delivery that waits. Raises WireError or TooManySpansError, as `accept` does.
        """
        received = self._read_otlp(data)
        request = received.request
        rejected = self._hand_over_safely(received, now_ns)
        if not request.data:
            done(rejected)
            return

        def end(outcome: ExportResult | ExportError | WireError) -> None:
            done(self._settle(request, rejected, outcome))

        delivery = self._outlets.delivery
        assert isinstance(delivery, Delivery)
        delivery.begin(request, is_wanted, end)

    def accept_zipkin(self, data: bytes, is_wanted: Callable[[], bool], now_ns: int) -> ExportResult:
        """Take in one JSON array of Zipkin v2 spans, as `accept` does."""
        walk = walk_zipkin(data)
        request = SpanRequest(data if walk.span_count else b"", walk.span_count, SpanFormat.ZIPKIN)
        flows = self._zipkin_flows.read(data) if self._zipkin_flows is not None else []
        return self._accept(_Received(request, walk.application, [], flows), is_wanted, now_ns)

    def tick(self, now_ns: int) -> None:
        """Send the network spans that are due."""
        with self.lock:
            self.take_in_arrivals()
            emissions = self._join.take_due(now_ns)
        self._send_network_spans(emissions)

    def take_in_arrivals(self) -> None:
        """Let the join take in what has come. Under `lock`."""
        turns = itertools.cycle(range(ARRIVALS_A_TURN))
        # No more than was there: at saturation more comes meanwhile, without an end, and what is due would wait.
        for left in reversed(range(self.arrivals.count)):
            arrival = self.arrivals.pop()
            if arrival is None:
                return
            try:
                self._take_in(arrival)
                if not left:
                    self._join.make_spans(arrival.now_ns)
            except Exception as error:  # noqa: BLE001 - a fault in the join must never cost what came after
                self._log_fault(error)
            if next(turns) == ARRIVALS_A_TURN - 1:
                # Lets threads that answer clients run, which would else wait for 5 ms, again at each step of theirs.
                time.sleep(0)

    def drain(self, now_ns: int) -> None:
        """Send the network spans that can still be made, and release the rest."""
        with self.lock:
            self.take_in_arrivals()
            emissions = self._join.close(now_ns)
        self._send_network_spans(emissions)

    def _accept(self, received: "_Received", is_wanted: Callable[[], bool], now_ns: int) -> ExportResult:
        rejected = self._hand_over_safely(received, now_ns)
        request = received.request
        if not request.data:
            return rejected
        try:
            outcome = self._settle(request, rejected, self._outlets.delivery.deliver(request, is_wanted))
        except (ExportError, WireError) as error:
            self._settle(request, rejected, error)
            raise
        assert isinstance(outcome, ExportResult)
        return outcome

    def _settle(
        self, request: SpanRequest, rejected: ExportResult, outcome: ExportResult | ExportError | WireError
    ) -> ExportResult | ExportError | WireError:
        """Do what follows a delivery; return what the client is told."""
        if isinstance(outcome, (ExportResult, PermanentExportError)):
            # After a permanent error too: the client will not come again, so the others get their copy now or never.
            for queue in self._outlets.application:
                queue.offer(request)
        if not isinstance(outcome, ExportResult):
            self.outcomes.add(ReceiveOutcome.REFUSED, request.span_count)
            return outcome
        self.outcomes.add(ReceiveOutcome.ACCEPTED, request.span_count)
        return ExportResult(outcome.rejected_spans + rejected.rejected_spans, outcome.message or rejected.message)

    def _hand_over_safely(self, received: "_Received", now_ns: int) -> ExportResult:
        try:
            return self._hand_over(received, now_ns)
        except Exception as error:  # noqa: BLE001 - a fault of ours must never cost an application span
            self._log_fault(error)
            return ExportResult()

    def _send_network_spans(self, emissions: list[Emission]) -> None:
        by_format = {
            span_format: _ENCODERS[span_format](emissions, self._version)
            for span_format in {queue.format for queue in self._outlets.network}
        }
        for queue in self._outlets.network:
            for request in by_format[queue.format]:
                queue.offer(request)

    def _hand_over(self, received: "_Received", now_ns: int) -> ExportResult:
        """Keep for the join what it needs; return what of it could not be read."""
        if not received.application and not received.transits:
            return ExportResult()
        batches = [(part, _read_batch(part)) for part in received.transits]
        if not self.arrivals.add(Arrival(now_ns, received.application, batches)):
            with self.lock:
                self.take_in_arrivals()
        if self.flows is not None:
            readable = [batch for _, batch in batches if isinstance(batch, RawBatch)]
            self.flows.claims.take_in(received.flows, readable, now_ns)
        unreadable = ExportResult()
        for part, batch in batches:
            if isinstance(batch, BatchError):
                unreadable = ExportResult(unreadable.rejected_spans + part.count, str(batch))
        if unreadable.rejected_spans:
            self._log.warn("transits could not be read", count=unreadable.rejected_spans, text=unreadable.message)
        return unreadable

    def _read_otlp(self, data: bytes) -> _Received:
        walk = walk_request(data, self.flows.names if self.flows is not None else None)
        return _Received(SpanRequest(walk.forward, walk.span_count), walk.application, walk.transits, walk.flows)

    def _log_fault(self, error: Exception) -> None:
        self._log.error("the join failed", exception=type(error).__name__, text=str(error))

    def _take_in(self, arrival: Arrival) -> None:
        for group in arrival.application:
            self._join.add_parents(group.resource, group.spans, arrival.now_ns, group.peers)
        for part, batch in arrival.batches:
            if isinstance(batch, RawBatch):
                self._join.add_batch(batch, arrival.now_ns)
            else:
                self._join.add_unreadable(part.count, TransitReason.MALFORMED)


def _read_batch(part: TransitSlice) -> RawBatch | BatchError:
    try:
        return read_batch(part.resource_spans)
    except BatchError as error:
        return error
