"""Peers that speak gRPC, each by its language's own library: a server on one node, and a caller on the other.

The caller takes steps, a line each, and tells which calls it made: that is what the packets must tell.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from testbed.process import ManagedProcess, run_in
from testbed.topology import CART, CART_SERVICE, FRONTEND, SIDECAR_INBOUND_PORT
from tests.peers.clients import TIMEOUT_S, find_client

LIBRARIES = {"go": "grpc-go", "java": "grpc-java", "js": "grpc-js", "python": "grpcio"}
_FROM_PIPE = ["sh", "-c", 'exec "$@" <"$0"']
"""Gives a command, which follows the pipe's name, what is written into the pipe."""


@dataclass(frozen=True)
class MadeCall:
    """A call as its caller knows it; `parent_id` is the span that waited, nothing where nobody recorded one."""

    trace_id: bytes
    parent_id: bytes


class Caller:
    """A running caller, with one connection at a time."""

    def __init__(self, process: ManagedProcess, pipe: TextIO) -> None:
        self._process = process
        self._pipe = pipe
        self._steps = 0

    def take(self, step: str) -> list[MadeCall]:
        """Let it take a step, and return the calls whose end it has seen in it. Raises TestbedError."""
        self._pipe.write(f"{step}\n")
        self._pipe.flush()
        self._steps += 1
        self._process.wait_until(lambda: len(self._list_done()) == self._steps, f"did not do {step}", TIMEOUT_S)
        done = json.loads(self._list_done()[-1])
        assert done["step"] == step
        return [MadeCall(*(bytes.fromhex(call[key]) for key in ("trace_id", "span_id"))) for call in done["calls"]]

    def _list_done(self) -> list[str]:
        lines = self._process.read_log().splitlines(keepends=True)
        return [line for line in lines if line.startswith('{"') and line.endswith("}\n")]


def find_grpc(language: str) -> list[str]:
    """Return the command of the peer in a language; skips with the reason where it cannot be built."""
    if language == "python":
        return [sys.executable, "-m", "tests.peers.grpc_python"]
    return find_client(language)


@contextmanager
def serving(language: str, work_dir: Path) -> Iterator[None]:
    """Hold a server on cart's pod. Raises TestbedError."""
    command = [*find_grpc(language), "grpc-serve", f"{CART.address}:{SIDECAR_INBOUND_PORT}"]
    with run_in(CART.namespace, command, log_path=work_dir / f"{language}-server.log") as server:
        server.wait_for_output("^serving$", TIMEOUT_S)
        yield


@contextmanager
def calling(language: str, work_dir: Path) -> Iterator[Caller]:
    """Hold a caller on frontend's pod, which calls cart's service by its ClusterIP. Raises TestbedError."""
    pipe = work_dir / f"{language}-steps"
    os.mkfifo(pipe)
    target = f"{CART_SERVICE.cluster_address}:{CART_SERVICE.port}"
    command = [*_FROM_PIPE, str(pipe), *find_grpc(language), "grpc-call", target]
    with run_in(FRONTEND.namespace, command, log_path=work_dir / f"{language}-caller.log") as process:
        with pipe.open("w") as steps:
            yield Caller(process, steps)
        assert process.wait_or_kill(TIMEOUT_S) == 0, process.read_log_tail()
