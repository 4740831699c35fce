"""The loaded BPF programs and maps, as file descriptors received from the compiling child.

No LLVM in this process. Which program serves which point, first or last, is decided here and nowhere else.
"""

import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from typing import Final

from node_probe.errors import ProbeError
from node_probe.transit import HEADER_FORMATS, ContextFormat

PROGRAMS: Final = (
    "pod_egress",
    "veth_ingress",
    "veth_ingress_first",
    "overlay_egress",
    "nic_egress",
    "nic_ingress",
    "overlay_ingress",
    "veth_egress",
    "veth_egress_last",
    "pod_ingress",
)
"""The entry points in bpf/points.c, one or two for each point."""

CALLED: Final = ("http1", "http2")
"""The entry points that others call, by their index in the map CALLS (see bpf/limits.h)."""

CALLED_FOR_FLOWS: Final = "tls"
"""The one that comes behind them, which is there only where FLOW is read."""

CALLS: Final = "calls"
"""The kernel clears this map when the last process closes it, so it is kept open as long as the programs run."""

SWEEP: Final = "sweep"
"""The entry point in bpf/sweep.c, attached nowhere: the agent runs it."""

MAPS: Final = (
    "transit_tags",
    "transits",
    "awaited",
    "exchange_tags",
    "exchanges",
    "unfinished_tags",
    "followed_tags",
    "ring",
    "counters",
    "settings",
    CALLS,
)
"""The maps that the agent reads or writes, and those that the tests look into."""

MAPS_FOR_FLOWS: Final = ("direction_tags",)
"""Those that are there only where FLOW is read."""

RING_BYTES = 1024 * 4096
"""RING_PAGES in bpf/limits.h; a test compares them."""

_COMPILE_TIMEOUT_S = 300
"""One second on an idle machine; ten times as long in a throttled container, and in emulation."""

_MAX_MESSAGE_BYTES = 1 << 20
_MAX_FDS = len((*PROGRAMS, *CALLED, CALLED_FOR_FLOWS, SWEEP, *MAPS, *MAPS_FOR_FLOWS))


def load_programs(formats: Iterable[ContextFormat] = HEADER_FORMATS) -> Mapping[str, int]:
    """Compile and load in a child; return the fds by name. Raises ProbeError with the child's reason.

    The programs read the formats and no other, and what they do not read costs no packet anything.
    """
    mask = sum(1 << context_format for context_format in set(formats))
    parent, child = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # A file, since a verifier's log overflows a pipe that nobody reads yet.
    with parent, child, tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "node_probe.compiler", str(child.fileno()), str(mask)],
            pass_fds=[child.fileno()],
            stdin=subprocess.DEVNULL,
            stderr=log,
        )
        child.close()
        parent.settimeout(_COMPILE_TIMEOUT_S)
        try:
            data, fds, _, _ = socket.recv_fds(parent, _MAX_MESSAGE_BYTES, _MAX_FDS)
        except TimeoutError as error:
            process.kill()
            raise ProbeError(f"the BPF programs were not compiled within {_COMPILE_TIMEOUT_S} s") from error
        finally:
            process.wait()
        log.seek(0)
        stderr = log.read()
    message = json.loads(data) if data else {"error": f"the compiling child died (status {process.returncode})"}
    if "error" in message:
        raise ProbeError(_explain(message["error"], stderr))
    return dict(zip(message["names"], fds, strict=True))


def _explain(error: str, stderr: bytes) -> str:
    # The compiler's or verifier's last lines say what is wrong; all of it can be megabytes.
    tail = stderr.decode(errors="replace").strip()[-2000:]
    return f"the BPF programs cannot be loaded: {error}" + (f"\n{tail}" if tail else "")
