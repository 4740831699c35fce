"""A pipeline with two exporters of the test, and the requests that its tests send."""

import io
import json
from concurrent.futures import Future
from typing import Any

from collector_plugin.delivery import Delivery
from collector_plugin.join import Join
from collector_plugin.join_settings import JoinSettings
from collector_plugin.outcomes import SendOutcome
from collector_plugin.pipeline import Outlets, Pipeline
from collector_plugin.sending_queue import SendingQueue
from hopspan.counters import Counters
from hopspan.export_errors import ExportResult
from hopspan.logs import Log
from tests.collector_plugin.builders import (
    NODE_1,
    NODE_2,
    SECOND,
    make_decoded_batch,
    make_request,
    make_resource_spans,
    make_span,
    make_transit,
)
from tests.collector_plugin.gated_exporter import DEADLINE_S, GatedExporter
from tests.node_probe.batch_reference import encode_batch

SPANS = make_request(make_resource_spans([make_span()]))
NEAR = encode_batch(make_decoded_batch(NODE_1, make_transit({2: 1000, 3: 1010, 4: 1020})), "1")
FAR = encode_batch(make_decoded_batch(NODE_2, make_transit({5: 1120, 6: 1130})), "1")


class Bench:
    """A pipeline with two exporters: the first acknowledges."""

    def __init__(self, *, waits: bool = True) -> None:
        """Begin empty, all threads running. Requests wait for their delivery, or are told of it."""
        self.waits = waits
        self.stderr = io.StringIO()
        log = Log(stream=self.stderr)
        self.join = Join(JoinSettings(60 * SECOND, 2 * SECOND, 0, 1000))
        self.first, self.second = GatedExporter(), GatedExporter()
        delivery = Delivery(self.first, Counters(SendOutcome))
        self.copies = SendingQueue("second", self.second, Counters(SendOutcome), log)
        self.network = [
            SendingQueue(n, e, Counters(SendOutcome), log) for n, e in (("1", self.first), ("2", self.second))
        ]
        self.pipeline = Pipeline(self.join, Outlets(delivery, (self.copies,), tuple(self.network)), "9.9", log)
        for queue in (self.copies, *self.network):
            queue.start()

    def accept(self, data: bytes, now_ns: int = 0) -> ExportResult:
        """Let a request arrive; return what its client is told, or raise it."""
        if self.waits:
            return self.pipeline.accept(data, lambda: True, now_ns)
        future: Future[ExportResult | Exception] = Future()
        self.pipeline.begin(data, lambda: True, now_ns, future.set_result)
        outcome = future.result(DEADLINE_S)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def take_in(self) -> Join:
        """Let the join take in what has come."""
        with self.pipeline.lock:
            self.pipeline.take_in_arrivals()
        return self.join

    def close(self) -> None:
        """End all threads."""
        for queue in (self.copies, *self.network):
            queue.close(2**63)

    def read_log(self) -> list[dict[str, Any]]:
        """Return what was logged."""
        return [json.loads(line) for line in self.stderr.getvalue().splitlines()]
