"""Clients that come again until they hear of success, a backend with moods, and a plugin that is ended in between.

What each client was told, and what the backend kept, is compared by the tests.
"""

import collections
import itertools
import json
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import grpc

from hopspan.otlp_export import EXPORT_METHOD
from tests.collector_plugin.builders import list_spans, make_request, make_resource_spans, make_span
from tests.hopspan.grpc_peer import DEADLINE_S, GrpcPeer, refuse

CONFIG = """
receivers:
  otlp: {{protocols: {{grpc: {{endpoint: "localhost:{grpc}"}}, http: {{endpoint: "localhost:{http}"}}}}}}
exporters: {{otlp: {{endpoint: "localhost:{peer}", tls: {{insecure: true}}, timeout: 1s}}}}
telemetry: {{metrics: {{endpoint: "localhost:0"}}}}
"""

CLIENTS = 8
MOODS = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.DATA_LOSS,
)
"""What the backend answers at times, without keeping anything."""

REFUSAL = "not now"
TRY_AGAIN_S = 0.02
CALL_TIMEOUT_S = 10.0


class Backend(GrpcPeer):
    """A peer that keeps every span that it tells success of, and refuses as chance has it."""

    def __init__(self, seed: int, share: float) -> None:
        """Refuse `share` of the requests."""
        super().__init__()
        self._chance = random.Random(seed)  # noqa: S311 - a test's chance
        self._share = share
        self.behave = self._behave

    def count_spans(self) -> collections.Counter[bytes]:
        """Return how often each span was kept, by its id."""
        return collections.Counter(span.span_id for span in list_spans(list(self.received.queue)))

    def _behave(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        if self._chance.random() < self._share:
            code = self._chance.choice(MOODS)
            delay_ns = 1_000_000 if code is grpc.StatusCode.RESOURCE_EXHAUSTED else None
            refuse(code, REFUSAL, delay_ns)(request, context)
        return b""


class Story:
    """The plugin as a process of its own, and clients in threads."""

    def __init__(self, directory: Path, backend: Backend) -> None:
        """Choose ports, and start both."""
        self.backend = backend
        self.acknowledged: set[bytes] = set()
        self.in_doubt: set[bytes] = set()
        """Spans of requests that once ended in something else than a clear answer."""
        self._path = directory / "plugin.yaml"
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._ports = (0, 0)
        self.process = self.start()
        self._threads = [threading.Thread(target=self._run_client, args=(n,)) for n in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def start(self) -> "subprocess.Popen[str]":
        """Start the plugin, on the ports that it had; return once it is ready."""
        grpc_port, http_port = self._ports
        text = CONFIG.format(grpc=grpc_port, http=http_port, peer=self.backend.port)
        self._path.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "collector_plugin", "--config", str(self._path)]
        # Its log is for whoever looks at a failure, and nobody reads a pipe meanwhile.
        log = self._path.with_suffix(".log")
        with log.open("a", encoding="utf-8") as file:
            begin = file.tell()
            process = subprocess.Popen(command, stderr=file, text=True)
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            lines = [json.loads(line) for line in log.read_text(encoding="utf-8")[begin:].splitlines()]
            for line in lines:
                if line["message"] == "ready":
                    self._ports = (line["otlp_grpc_port"], line["otlp_http_port"])
                    return process
            time.sleep(TRY_AGAIN_S)
        raise AssertionError(log.read_text(encoding="utf-8"))

    def end_plugin(self, number: signal.Signals) -> int:
        """Send the signal, wait for the end, and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_S)

    def wait_for_more(self, spans: int) -> None:
        """Return once so many spans more were acknowledged."""
        target = len(self.acknowledged) + spans
        deadline = time.monotonic() + DEADLINE_S
        while len(self.acknowledged) < target:
            assert time.monotonic() < deadline, "nothing is acknowledged any more"
            time.sleep(TRY_AGAIN_S)

    def finish(self) -> None:
        """Let all clients deliver what they have, and end everything."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(DEADLINE_S)
            assert not thread.is_alive()
        self.close()

    def close(self) -> None:
        """End everything, as it is."""
        self._stopping.set()
        self.process.kill()
        self.process.wait(DEADLINE_S)
        self.backend.close()

    def _run_client(self, number: int) -> None:
        chance = random.Random(number)  # noqa: S311 - a test's chance
        while not self._stopping.is_set():
            with self._lock:
                ids = [next(self._numbers).to_bytes(8, "big") for _ in range(chance.randrange(1, 20))]
            data = make_request(make_resource_spans([make_span(span_id=span_id) for span_id in ids]))
            send = self._send_grpc if number % 2 else self._send_http
            while self.process.poll() is None or not self._stopping.is_set():
                answer = send(data)
                with self._lock:
                    if answer == "delivered":
                        self.acknowledged.update(ids)
                    elif answer == "in doubt":
                        self.in_doubt.update(ids)
                if answer == "delivered":
                    break
                time.sleep(TRY_AGAIN_S)

    def _send_grpc(self, data: bytes) -> str:
        with grpc.insecure_channel(f"localhost:{self._ports[0]}") as channel:
            call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(EXPORT_METHOD)
            try:
                call(data, timeout=CALL_TIMEOUT_S)
            except grpc.RpcError as error:
                # The backend's own word, passed on; all else may be a connection that broke behind a delivery.
                return "refused" if REFUSAL in (error.details() or "") else "in doubt"
        return "delivered"

    def _send_http(self, data: bytes) -> str:
        url = f"http://localhost:{self._ports[1]}/v1/traces"
        request = urllib.request.Request(url, data, {"Content-Type": "application/x-protobuf"})
        try:
            with urllib.request.urlopen(request, timeout=CALL_TIMEOUT_S):  # noqa: S310 - http on localhost
                return "delivered"
        except urllib.error.HTTPError as error:
            error.close()
            return "refused" if error.code in (429, 503) else "in doubt"
        except OSError:
            return "in doubt"
