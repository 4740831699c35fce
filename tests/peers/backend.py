"""The backend at the end of the way, which keeps every span, and the client at its begin."""

from collections.abc import Iterable

import grpc

from hopspan.otlp_export import EXPORT_METHOD
from testbed.peers import choose_ports
from testbed.recorder import RecordedSpan, Recorder

ARRIVAL_TIMEOUT_S = 60.0
"""For what must come; the slowest way has a sampling decision of ten seconds in it."""

SCOPE = "hopspan"
"""That of network spans."""


class Backend(Recorder):
    """An OTLP/gRPC server at `endpoint`, within its block."""

    def __init__(self) -> None:
        """Choose a port."""
        (port,) = choose_ports(1)
        self.endpoint = f"localhost:{port}"
        super().__init__(self.endpoint)

    def wait_for_names(self, expected: Iterable[tuple[bytes, str]]) -> list[RecordedSpan]:
        """Wait until there is a span for each trace id and name, as often as expected, and return all spans."""
        wanted = sorted(expected)

        def is_there(spans: Iterable[RecordedSpan]) -> bool:
            left = sorted((span.trace_id, span.name) for span in spans)
            return all(wanted.count(pair) <= left.count(pair) for pair in set(wanted))

        return self.wait_for(is_there, ARRIVAL_TIMEOUT_S)


def send(endpoint: str, *requests: bytes) -> None:
    """Send OTLP requests one after another, as applications and probes do. Raises grpc.RpcError."""
    with grpc.insecure_channel(endpoint) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(EXPORT_METHOD)
        for data in requests:
            call(data, timeout=ARRIVAL_TIMEOUT_S)
