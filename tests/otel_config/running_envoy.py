"""A stock Envoy in a network namespace of its own, where the shipped ports are free, and who listens behind it."""

import json
import secrets
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from testbed.namespace import call_in, open_socket
from testbed.process import run_in
from testbed.requirements import find_envoy
from testbed.sidecar import render_command
from tests.house.repository import ROOT

FOLDER = ROOT / "otel-config" / "envoy"
OUTBOUND_PORT, UPSTREAM_PORT = 15001, 8080
TIMEOUT_S = 60.0
READY_TIMEOUT_S = 60.0
ANSWER = b"HTTP/1.1 200 OK\r\nset-cookie: a=1\r\ncontent-length: 2\r\nset-cookie: b=2\r\nset-cookie: a=3\r\n\r\nok"


class Sidecar:
    """An Envoy that runs, and the service that it sends requests to."""

    def __init__(self, namespace: str, upstream: socket.socket) -> None:
        self.namespace = namespace
        self._upstream = upstream

    def pass_on(self, request: bytes) -> tuple[bytes, bytes]:
        """Send a request through Envoy; return what came out behind it, and what was answered.

        Each has a connection of its own, so nothing of another is left in it.
        """
        with open_socket(self.namespace) as client:
            client.settimeout(TIMEOUT_S)
            client.connect(("127.0.0.1", OUTBOUND_PORT))
            client.sendall(request)
            server, _ = self._upstream.accept()
            with server:
                server.settimeout(TIMEOUT_S)
                message = _read_message(server)
                server.sendall(ANSWER if not request.startswith(b"HEAD") else ANSWER.removesuffix(b"ok"))
                answer = _read_message(client, has_body=not request.startswith(b"HEAD"))
        return message, answer


@contextmanager
def running_sidecar(config: Any, work_dir: Path) -> Iterator[Sidecar]:
    """Hold an Envoy with the configuration, which may name files of `otel-config/envoy`."""
    # Not by the testbed's prefix: whatever begins with it is removed when a testbed starts beside.
    namespace = f"envoy-{secrets.token_hex(3)}"
    path = work_dir / f"{namespace}.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML too
    subprocess.run(["ip", "netns", "add", namespace], check=True)
    try:
        subprocess.run(["ip", "-n", namespace, "link", "set", "lo", "up"], check=True)
        upstream = call_in(namespace, lambda: socket.create_server(("127.0.0.1", UPSTREAM_PORT)))
        upstream.settimeout(TIMEOUT_S)
        command = ["env", "-C", str(FOLDER), *render_command(find_envoy(), path)]
        with upstream, run_in(namespace, command, log_path=path.with_suffix(".log")) as envoy:
            envoy.wait_until(lambda: _accepts(namespace), "does not listen", READY_TIMEOUT_S)
            yield Sidecar(namespace, upstream)
    finally:
        subprocess.run(["ip", "netns", "del", namespace], check=True)


def _accepts(namespace: str) -> bool:
    with open_socket(namespace) as trial:
        return trial.connect_ex(("127.0.0.1", OUTBOUND_PORT)) == 0


def _read_message(peer: socket.socket, *, has_body: bool = True) -> bytes:
    """Return a message with its body, as it came."""
    data = b""
    while not _is_whole(data, has_body=has_body):
        chunk = peer.recv(65536)
        assert chunk, f"the connection ended within a message: {data!r}"
        data += chunk
    return data


def _is_whole(data: bytes, *, has_body: bool) -> bool:
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator:
        return False
    headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    if not has_body:
        return True
    if headers.get(b"transfer-encoding") == b"chunked":
        return body.endswith(b"0\r\n\r\n")
    return len(body) == int(headers.get(b"content-length", b"0"))
