"""The streams of claims to all plugins: names -> addresses -> one ClaimStream each, looked up again now and then.

An edge: it asks the resolver, in a thread of its own.
"""

import socket
import threading
from collections.abc import Callable, Iterable

import msgspec

from hopspan.errors import HopspanError
from hopspan.flow_claims import Batch
from hopspan.logs import Log
from hopspan.settings import OtlpExporter
from hopspan.values import Endpoint
from node_probe.claim_stream import ClaimStream

RESOLVE_INTERVAL_S = 30.0
"""A plugin that was added is asked by then."""

MAX_STREAMS = 64
"""Plugins asked at once, a thread each."""


_SCHEMES = {socket.AF_INET: "ipv4", socket.AF_INET6: "ipv6"}


def resolve(endpoint: Endpoint) -> frozenset[str]:
    """Return the endpoint's addresses in gRPC's notation. Raises OSError."""
    found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    addresses = [(_SCHEMES[family], Endpoint(str(address[0]), endpoint.port)) for family, _, _, _, address in found]
    return frozenset(f"{scheme}:{address}" for scheme, address in addresses)


class ClaimStreams:
    """Keeps a stream to each address that the plugins' names have."""

    def __init__(
        self,
        plugins: Iterable[Endpoint],
        settings: OtlpExporter,
        hello: bytes,
        take: Callable[[Batch], None],
        log: Log,
    ) -> None:
        """Ask the plugins with TLS, token and headers of `settings`, whose endpoint does not matter."""
        self._settings = [msgspec.structs.replace(settings, endpoint=endpoint) for endpoint in plugins]
        self._hello = hello
        self._take = take
        self._log = log
        self._streams: dict[str, ClaimStream] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="plugins", daemon=True)

    @property
    def wanted(self) -> int:
        """Return how many plugins are asked."""
        return len(self._streams)

    @property
    def connected(self) -> int:
        """Return how many of them have answered."""
        return sum(stream.is_connected for stream in list(self._streams.values()))

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """End all streams."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._follow()
            self._stopping.wait(RESOLVE_INTERVAL_S)
        for stream in self._streams.values():
            stream.stop()

    def _follow(self) -> None:
        """Have a stream to each address of now. Where a name has none at the moment, all is left as it is."""
        wanted: dict[str, OtlpExporter] = {}
        for settings in self._settings:
            try:
                wanted |= dict.fromkeys(resolve(settings.endpoint), settings)
            except OSError as error:
                self._log.warn("a plugin's name has no address", name=settings.endpoint.host, error=str(error))
                return
        for address in self._streams.keys() - wanted.keys():
            self._streams.pop(address).stop()
        for address in sorted(wanted.keys() - self._streams.keys())[: MAX_STREAMS - len(self._streams)]:
            try:
                stream = ClaimStream(wanted[address], address, self._hello, self._take, self._log)
            except HopspanError as error:  # a token's file that is just being replaced: at the next look it is there
                self._log.warn("no claims from a plugin", error=str(error), address=address)
                continue
            self._streams = {**self._streams, address: stream}
            stream.start()
