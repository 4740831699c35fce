"""The door to the plugins' claims: asks one plugin at one address for them, again and again, in a thread of its own.

Beside the exporter alone among the probe's modules in importing grpc. What it logs has no value of a header.
"""

import threading
from collections.abc import Callable

import grpc

from hopspan.backoff import draw_delay_ns
from hopspan.errors import HopspanError
from hopspan.export_auth import ExportAuth
from hopspan.flow_claims import WATCH_METHOD, Batch, ClaimError, decode_batch
from hopspan.grpc_channel import open_channel
from hopspan.header_secrets import blot_out
from hopspan.logs import Log
from hopspan.settings import OtlpExporter

KEEPALIVE_MS, KEEPALIVE_TIMEOUT_MS = 300_000, 20_000
"""A plugin that vanished without a word is noticed by then. More often would be a strike for gRPC's servers."""

STOP_TIMEOUT_S = 5.0

_KEEPALIVE = (("grpc.keepalive_time_ms", KEEPALIVE_MS), ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS))


class ClaimStream:
    """One stream of claims, from `start` to `stop`."""

    def __init__(
        self, settings: OtlpExporter, address: str, hello: bytes, take: Callable[[Batch], None], log: Log
    ) -> None:
        """Ask the plugin at `address`, in gRPC's notation, which is one that the settings' endpoint has.

        Raises HopspanError for an unusable file.
        """
        self.is_connected = False
        """Whether the plugin has answered and the stream goes on."""
        self._settings = settings
        self._address = address
        self._hello = hello
        self._take = take
        self._log = log
        self._auth = ExportAuth(settings.auth, settings.headers)
        self._metadata = tuple((name.lower(), value) for name, value in settings.headers.items())
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._channel: grpc.Channel | None = None
        self._thread = threading.Thread(target=self._run, name="claims", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """End the stream."""
        with self._lock:
            self._stopping.set()
            if self._channel is not None:
                self._channel.close()
        self._thread.join(STOP_TIMEOUT_S)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                self._watch()
            except (grpc.RpcError, HopspanError, ClaimError, ValueError) as error:
                # ValueError is grpc's for a channel that `stop` has closed.
                fault = self._explain(error)
            else:
                fault = "the plugin ended the stream"
            failures = 1 if self.is_connected else failures + 1
            self.is_connected = False
            if not self._stopping.is_set():
                self._log.warn("no claims from a plugin", error=fault, address=self._address)
            self._stopping.wait(draw_delay_ns(failures) / 1e9)

    def _watch(self) -> None:
        """Ask, and take what comes until the stream ends."""
        # A new channel each time: certificates may have been renewed.
        with self._lock:
            if self._stopping.is_set():
                return
            channel = self._channel = open_channel(self._settings, self._address, _KEEPALIVE)
        try:
            watch: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(WATCH_METHOD)
            call = watch(self._hello, metadata=self._list_metadata())
            call.initial_metadata()
            self.is_connected = call.is_active()
            for message in call:
                self.is_connected = True
                self._take(decode_batch(message))
        finally:
            channel.close()

    def _list_metadata(self) -> tuple[tuple[str, str], ...]:
        authorization = self._auth.read_authorization()
        return self._metadata if authorization is None else (*self._metadata, ("authorization", authorization))

    def _explain(self, error: Exception) -> str:
        if not isinstance(error, grpc.RpcError):
            return str(error)
        code: grpc.StatusCode = error.code()
        return blot_out(f"{code.name}: {error.details()}", self._auth.list_secrets())
