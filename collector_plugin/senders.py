"""Puts the ways out together: which exporter acknowledges, and which queues stand before the others.

The queues' threads are started and ended here; the exporters belong to whoever opened them.
"""

from collections.abc import Sequence

from collector_plugin.acknowledge import AcceptedDelivery, Acknowledger, Tapped
from collector_plugin.config import Acknowledge, Mode
from collector_plugin.delivery import Delivery
from collector_plugin.exporters import OpenExporter
from collector_plugin.outcomes import SendOutcome
from collector_plugin.pipeline import Outlets
from collector_plugin.report import APPLICATION, NETWORK, Outlet
from collector_plugin.sending_queue import SendingQueue
from hopspan.counters import Counters
from hopspan.logs import Log


class Senders:
    """All ways out of a plugin, and the threads behind them."""

    def __init__(self, exporters: Sequence[OpenExporter], mode: Mode, acknowledge: Acknowledge, log: Log) -> None:
        """Build them; the first exporter acknowledges, unless the spans are only looked at (`tap`)."""
        self._log = log
        self._queues: list[SendingQueue] = []
        self._watched: list[tuple[str, Delivery | SendingQueue]] = []
        self.reported: list[Outlet] = []
        """What the report counts."""
        is_tapped = mode is Mode.TAP
        delivery = Tapped() if is_tapped else self._open_delivery(exporters[0], acknowledge)
        copies = () if is_tapped else tuple(self._open_queue(other, APPLICATION) for other in exporters[1:])
        self.outlets = Outlets(delivery, copies, tuple(self._open_queue(one, NETWORK) for one in exporters))

    def count_failed_attempts(self) -> dict[str, int]:
        """Return by exporter how many attempts failed in a row, of application or network spans."""
        failed: dict[str, int] = {}
        for name, sender in self._watched:
            failed[name] = max(failed.get(name, 0), sender.failed_attempts)
        return failed

    @property
    def queued_bytes(self) -> int:
        """Return the size of what waits in all queues."""
        return sum(queue.size_bytes for queue in self._queues)

    def start(self) -> None:
        """Start to send."""
        for queue in self._queues:
            queue.start()

    def close(self, deadline_ns: int) -> None:
        """Send what is left until `deadline_ns` of the monotonic clock; count the rest."""
        for queue in self._queues:
            queue.close(deadline_ns)
        if isinstance(self.outlets.delivery, Delivery):
            self.outlets.delivery.close()

    def join(self, timeout_s: float) -> None:
        """Wait for the threads, once the exporters were closed."""
        for queue in self._queues:
            queue.join(timeout_s)

    def _open_delivery(self, first: OpenExporter, acknowledge: Acknowledge) -> Acknowledger:
        if acknowledge is Acknowledge.ACCEPTED:
            return AcceptedDelivery(self._open_queue(first, APPLICATION))
        outcomes = Counters(SendOutcome)
        delivery = Delivery(first.exporter, outcomes, first.format)
        self._watched.append((first.name, delivery))
        self.reported.append(Outlet(first.name, APPLICATION, outcomes, lambda: delivery.waiting_bytes))
        return delivery

    def _open_queue(self, one: OpenExporter, kind: str) -> SendingQueue:
        outcomes = Counters(SendOutcome)
        queue = SendingQueue(one.name, one.exporter, outcomes, self._log, one.format)
        self._queues.append(queue)
        self._watched.append((one.name, queue))
        self.reported.append(Outlet(one.name, kind, outcomes, lambda: queue.size_bytes))
        return queue
