"""Compiles and loads the BPF programs in a short-lived child process. The only module that imports bcc.

LLVM takes 120 MiB or more, which the agent does not keep: the child hands the file descriptors over and exits. Run as
`python -m node_probe.compiler FD CONTEXTS`: a Unix socket, and the formats to read as bits (see `load`).
"""

import json
import os
import platform
import shutil
import socket
import struct
import sys
import tempfile
from pathlib import Path
from typing import Any

from node_probe.bpf import BpfMap
from node_probe.capabilities import Capability, choose_for_loading, give_up_all_but, needs_search, read_effective
from node_probe.programs import CALLED, CALLED_FOR_FLOWS, CALLS, MAPS, MAPS_FOR_FLOWS, PROGRAMS, SWEEP
from node_probe.transit import ContextFormat

_BPF_DIRECTORY = Path(__file__).resolve().parent.parent / "bpf"
_UAPI = Path("/usr/include")

SOURCES = (
    *("maps.c", "rates.c", "exchanges.c", "slots.c", "transits.c", "bodies.c", "awaited.c", "unfinished.c"),
    *("flows.c", "streams.c", "responses.c", "start.c", "headers.c", "http2.c", "points.c", "sweep.c"),
)
"""The parts of the program text, each of which uses what stands before it."""

_SOURCES_FOR_FLOWS = ("directions.c", "tls.c")
"""What comes behind them where FLOW is read."""

# bcc's loader includes helpers.h, which needs no more of the kernel's headers than these guards and the shim give.
_CFLAGS = (
    f"-I{_BPF_DIRECTORY}",
    "-D__LINUX_BPF_H__",
    "-DCONFIG_BPF_SYSCALL",
    "-Wno-macro-redefined",
    # Clang's advice about loops that are meant to stay loops.
    "-Wno-pass-failed",
)

_ARCHITECTURES = {"x86_64": "x86", "aarch64": "arm64"}


def make_header_tree(directory: Path) -> None:
    """Lay out what bcc takes for the kernel's source: our shim, and libc's UAPI headers under the kernel's name.

    bcc else wants headers of the running kernel, which nodes rarely have. Raises FileNotFoundError naming the package
    that is missing.
    """
    if not (_UAPI / "linux" / "bpf.h").exists():
        raise FileNotFoundError("/usr/include/linux/bpf.h is missing: install linux-libc-dev")
    shutil.copytree(_BPF_DIRECTORY / "shim", directory / "include")
    uapi = directory / "include" / "uapi"
    uapi.mkdir()
    for name in ("linux", "asm-generic"):
        (uapi / name).symlink_to(_UAPI / name)
    architecture = _ARCHITECTURES.get(platform.machine(), platform.machine())
    (directory / "arch" / architecture / "include").mkdir(parents=True)


def give_up_rights() -> None:
    """Keep the capabilities that loading needs, and give up what the agent needs for other things. Raises OSError.

    This process runs a compiler, by far the largest code that the agent starts.
    """
    kept = choose_for_loading(read_effective())
    if needs_search((Path(__file__), _BPF_DIRECTORY / SOURCES[0], Path(sys.executable))):
        kept |= {Capability.DAC_READ_SEARCH}
    give_up_all_but(kept)


def read_sources(*, flows: bool = False) -> str:
    """Return the program text: one file, since bcc rewrites the access to maps nowhere else."""
    names = (*SOURCES, *_SOURCES_FOR_FLOWS) if flows else SOURCES
    return "".join(f'#line 1 "bpf/{name}"\n{(_BPF_DIRECTORY / name).read_text()}\n' for name in names)


def load(contexts: int | None = None) -> tuple[Any, dict[str, int]]:
    """Compile the programs and load every program; return bcc's module and the fds of programs and maps by name.

    `contexts` has a bit for each ContextFormat that is read; without it all are that headers hold. The fds are open
    as long as the module is kept.
    """
    flows = bool(contexts and contexts >> ContextFormat.FLOW & 1)
    called = (*CALLED, CALLED_FOR_FLOWS) if flows else CALLED
    with tempfile.TemporaryDirectory(prefix="hopspan-headers-") as directory:
        make_header_tree(Path(directory))
        os.environ["BCC_KERNEL_SOURCE"] = directory
        # Imported here: bcc is a system package, and what else imports this module must not need it.
        import bcc  # noqa: PLC0415

        seed = int.from_bytes(os.urandom(8), "little")
        flags = [*_CFLAGS, f"-DHASH_SEED={seed}ULL", f"-isystem/usr/include/{platform.machine()}-linux-gnu"]
        if contexts is not None:
            flags.append(f"-DREAD_CONTEXTS={contexts}")
        module = bcc.BPF(text=read_sources(flows=flows).encode(), cflags=flags)
        fds = {name: module.load_func(name.encode(), bcc.BPF.SCHED_CLS).fd for name in (*PROGRAMS, *called, SWEEP)}
    fds |= {name: module[name.encode()].map_fd for name in (*MAPS, *(MAPS_FOR_FLOWS if flows else ()))}
    calls = BpfMap(fds[CALLS], 4, 4)
    for index, name in enumerate(called):
        calls.update(struct.pack("=I", index), struct.pack("=I", fds[name]))
    return module, fds


def main() -> int:
    """Send `{"names": [...]}` with the fds, or `{"error": "..."}`, over the socket given as first argument."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    try:
        give_up_rights()
        module, fds = load(int(sys.argv[2]))
    except Exception as error:  # noqa: BLE001 - whatever goes wrong here is the parent's to report
        channel.sendall(json.dumps({"error": describe_failure(error)}).encode())
        return 1
    socket.send_fds(channel, [json.dumps({"names": list(fds)}).encode()], list(fds.values()))
    del module  # kept until here: it closes its fds when it goes
    return 0


def describe_failure(error: Exception) -> str:
    """Return what went wrong, for people: what to install where that is the cause."""
    if isinstance(error, ModuleNotFoundError) and error.name == "bcc":
        return "bcc is missing: install python3-bpfcc and run on the distribution's python3 (or a venv that sees it)"
    if isinstance(error, AttributeError) and error.name == "BPF":
        return "the bcc that is found is not the BPF Compiler Collection: uninstall it and install python3-bpfcc"
    return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    sys.exit(main())
