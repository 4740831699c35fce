"""Applications on a simulated connection: exchanges over HTTP/1.1 or HTTP/2, and the spans that a client writes."""

import random
from collections.abc import Callable

import msgspec

from tests.node_probe.kernel_model import KernelDirection, Segment
from tests.node_probe.tls_network import MS, US, Clock, Message, Side

TICKETS = (250, 266)
"""Their lengths: OpenSSL pads to whole blocks, so that those of one handshake may differ by one."""

VERSIONS = TLS_1_3, TLS_1_2, RESUMED_1_2 = "1.3", "1.2", "1.2, resumed"
"""Of TLS, as far as handshakes differ."""


class Exchange(msgspec.Struct):
    """What a client's span says, and what is true."""

    start_ns: int
    """Monotonic, like the end."""
    end_ns: int = 0
    request: Message | None = None
    response: Message | None = None


class Connection:
    """A connection from its handshake on, and what the client's node hands out of it."""

    def __init__(self, clock: Clock, chance: random.Random, emit: Callable[[bytes], None]) -> None:
        self.clock = clock
        self.chance = chance
        self.version = TLS_1_3
        self.is_http1 = True
        self.has_bodies = True
        self.early_ratio = 0.1
        """Part of the responses that begin before the request has ended."""
        self.queue_ratio = 0.25
        """Part of the requests that waited for the connection while it had another one."""
        self.shortest_ns = 1
        """Between the end of an exchange and the next request."""
        self.lengths: dict[tuple[bool, int, int], int] = {}
        """Of segments by way, sequence number and TSval."""
        self.done: list[Exchange] = []
        self._emit = emit
        self._kernel = {False: KernelDirection(is_coming=False), True: KernelDirection(is_coming=True)}
        latency_ns = chance.randrange(20 * US, 2 * MS)
        self.client = Side(clock, chance, lambda segment: self._meet(segment, is_coming=False), latency_ns)
        self.server = Side(clock, chance, lambda segment: self._meet(segment, is_coming=True), latency_ns)
        self.client.is_client = True
        self.client.meet_peer(self.server)
        self._waiting: list[tuple[Side, int, Callable[[], None]]] = []
        self.client.on_bytes = lambda: self._wake(self.client)
        self.server.on_bytes = lambda: self._wake(self.server)

    def _meet(self, segment: Segment, *, is_coming: bool) -> None:
        self.lengths[is_coming, segment.seq, segment.tsval] = segment.length
        record = self._kernel[is_coming].meet(segment)
        if record is not None:
            self._emit(record)

    def when_received(self, side: Side, end: int, then: Callable[[], None]) -> None:
        """Have something happen when a side has received all up to a sequence number."""
        self._waiting.append((side, end, then))
        self._wake(side)

    def _wake(self, side: Side) -> None:
        due = [item for item in self._waiting if item[0] is side and (side.received - item[1]) % 2**32 < 2**31]
        for item in due:
            self._waiting.remove(item)
        for _, _, then in due:
            then()

    def shake_hands(self, ready: Callable[[], None]) -> None:
        """Do a handshake, with a client's certificate where there are any, then call `ready` at once."""
        begin = {TLS_1_3: self._shake_hands_1_3, TLS_1_2: self._shake_hands_1_2, RESUMED_1_2: self._resume_1_2}
        begin[self.version](self.client.write([500], "h"), ready)

    def _shake_hands_1_3(self, hello: Message, ready: Callable[[], None]) -> None:
        """The server's tickets are application data, as all is behind the hellos and the changes of cipher."""

        def finish() -> None:
            flight = self.client.write([1, 1100, 300, 53], "c")
            self.when_received(self.server, flight.end, send_tickets)
            ready()

        def answer() -> None:
            flight = self.server.write([90, 1, 1300, 280, 53], "hc")
            self.when_received(self.client, flight.end, finish)

        def send_tickets() -> None:
            kind = self.chance.choice(("none", "one", "together", "apart", "late"))
            delay_ns = self.chance.randrange(0, 50 * US) if kind != "late" else self.chance.randrange(0, 3 * MS)
            one, other = (self.chance.choice(TICKETS) for _ in range(2))
            writes = {"none": [], "one": [[one]], "apart": [[one], [other]]}.get(kind, [[one, other]])
            self.clock.call_in(delay_ns, lambda: write_all(writes))

        def write_all(writes: list[list[int]]) -> None:
            for records in writes:
                self.server.write(records)

        self.when_received(self.server, hello.end, answer)

    def _shake_hands_1_2(self, hello: Message, ready: Callable[[], None]) -> None:
        """RFC 5246 section 7.3: the server's Finished, and its ticket before it, are the last of the handshake."""

        def answer() -> None:
            flight = self.server.write([90, 1300, 280, 60, 4], "hhhhh")
            self.when_received(self.client, flight.end, finish)

        def finish() -> None:
            flight = self.client.write([1100, 70, 264, 1, 40], "hhhch")
            self.when_received(self.server, flight.end, confirm)

        def confirm() -> None:
            flight = self.server.write(*self.chance.choice((([190, 1, 40], "hch"), ([1, 40], "ch"))))
            self.when_received(self.client, flight.end, ready)

        self.when_received(self.server, hello.end, answer)

    def _resume_1_2(self, hello: Message, ready: Callable[[], None]) -> None:
        """RFC 5246 section 7.3: the server is ready first, and the client sends its request right behind."""

        def answer() -> None:
            flight = self.server.write(*self.chance.choice((([90, 190, 1, 40], "hhch"), ([90, 1, 40], "hch"))))
            self.when_received(self.client, flight.end, finish)

        def finish() -> None:
            self.client.write([1, 40], "ch")
            ready()

        self.when_received(self.server, hello.end, answer)

    def exchange(self, exchange: Exchange, done: Callable[[], None]) -> None:  # noqa: C901 - a story of six steps
        """Send a request, with a body or without, and its response."""
        chance = self.chance
        exchange.request = self.client.write([chance.randrange(40, 900)])
        ends = [exchange.request.end]
        parts = self.has_bodies * chance.choice((0, 0, 0, 1, 3))
        is_early = chance.random() < self.early_ratio
        lateness_ns = chance.choice((0, 3 * MS)) if is_early and not self.queue_ratio else 0

        def answer() -> None:
            exchange.response = self.server.write([chance.randrange(40, 600)])
            last = exchange.response.end
            for _ in range(self.has_bodies * chance.choice((0, 0, 1, 1, 4))):
                last = self.server.write([chance.choice((20, 700, 5000, 16000))]).end
            self.when_received(self.client, last, finish)

        def finish() -> None:
            if parts == len(ends) - 1:
                self.when_received(self.server, ends[-1], close)
            else:
                self.clock.call_in(MS, finish)

        def write_part() -> None:
            ends.append(self.client.write([chance.choice((20, 700, 5000, 16000))]).end)
            if parts == len(ends) - 1 and not is_early:
                self.when_received(self.server, ends[-1], respond)

        def respond() -> None:
            self.clock.call_in(service_ns, answer)

        def close() -> None:
            self.clock.call_in(chance.randrange(1, 100 * US), stop)

        def stop() -> None:
            exchange.end_ns = self.clock.now_ns
            self.done.append(exchange)
            done()

        service_ns = chance.choice((5 * US, 200 * US, 5 * MS, 40 * MS))
        if is_early or not parts:
            self.when_received(self.server, exchange.request.end, respond)
        for number in range(parts):
            if lateness_ns:
                self.clock.call_in((number + 1) * lateness_ns, write_part)
            else:
                write_part()


def talk_http1(connection: Connection, count: int) -> None:
    """Have exchanges one after the other; some spans begin while the one before is still there, in a queue."""
    chance, clock = connection.chance, connection.clock

    def begin(started_ns: int) -> None:
        left = count - len(connection.done)
        if not left:
            return
        if left == 1 and chance.random() < 0.3:
            # Aborted: the client gives up, and nothing more comes over this connection.
            exchange = Exchange(started_ns, clock.now_ns + 30 * MS)
            exchange.request = connection.client.write([chance.randrange(40, 900)])
            connection.done.append(exchange)
            return
        connection.exchange(Exchange(started_ns), follow)

    def follow() -> None:
        waited_ns = 10 * MS * (chance.random() < connection.queue_ratio)
        pause_ns = chance.choice((connection.shortest_ns, 20 * US, 3 * MS, 400 * MS))
        clock.call_in(pause_ns, lambda: begin(clock.now_ns - waited_ns - chance.randrange(1, 30 * US)))

    begun_ns = clock.now_ns
    connection.shake_hands(lambda: clock.call_in(chance.choice((0, 5 * MS)), lambda: begin(begun_ns)))


def talk_http2(connection: Connection, count: int, streams: int) -> None:
    """Have exchanges on several streams; in between each side writes frames that belong to none."""
    connection.is_http1 = False
    chance, clock = connection.chance, connection.clock

    def begin(left: int) -> None:
        if left:
            exchange = Exchange(clock.now_ns - chance.randrange(1, 30 * US))
            connection.exchange(
                exchange, lambda: clock.call_in(chance.randrange(1, 20 * MS), lambda: begin(left - 1))
            )

    def chatter(left: int) -> None:
        if left:
            chance.choice((connection.client, connection.server)).write([chance.choice((30, 34, 39))])
            clock.call_in(chance.randrange(1, 60 * MS), lambda: chatter(left - 1))

    def start() -> None:
        connection.client.write([60])
        chatter(count // 4)
        for _ in range(streams):
            begin(count // streams)

    connection.shake_hands(start)
