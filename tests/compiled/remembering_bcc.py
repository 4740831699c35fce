"""Stands before the real bcc in processes that tests start, so that LLVM compiles a text once and not fifty times.

sharing.py puts it as `bcc.py` into a folder on their PYTHONPATH, where it keeps what was compiled. The verifier sees
the instructions at each load: they are the same on every kernel. Has of bcc what node_probe/compiler.py asks of it.
The hash's seed, which each start else draws anew, is that of the compilation.
"""

import contextlib
import ctypes
import hashlib
import importlib
import os
import re
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

from node_probe.bpf import ProgramLoad, call_bpf, load_program
from node_probe.programs import CALLED, CALLED_FOR_FLOWS, MAPS, MAPS_FOR_FLOWS, PROGRAMS, SWEEP

FOLDER = Path(__file__).parent
SEED = "-DHASH_SEED="
HEADERS = "-I"

_MAP_CREATE = 0
_SCHED_CLS = 3
_LOAD_IMMEDIATE, _PSEUDO_MAP_FD = 0x18, 1
_INSTRUCTION = struct.Struct("=BBhi")
_LOG_BYTES = 1 << 24


class MapKind(msgspec.Struct, frozen=True):
    """A map as the kernel tells of it, in the fields of BPF_MAP_CREATE."""

    map_type: int
    key_size: int
    value_size: int
    max_entries: int
    map_flags: int


class Compiled(msgspec.Struct, frozen=True):
    """What LLVM and bcc made of a text. An instruction that takes a map has its index in place of its descriptor."""

    maps: Sequence[MapKind]
    map_indexes: dict[str, int]
    programs: dict[str, bytes]
    license: bytes


class BPF:
    """Make a `bcc.BPF`, or where the text was compiled before what stands for one."""

    SCHED_CLS = _SCHED_CLS

    def __new__(cls, text: bytes, cflags: Sequence[str]) -> Any:
        """Create the maps; each program is loaded by `load_func`."""
        path = FOLDER / f"{_digest(text, cflags)}.compiled"
        if path.exists():
            return _Loader(msgspec.msgpack.decode(path.read_bytes(), type=Compiled))
        bcc = _import_real()
        module = bcc.BPF(text=text, cflags=cflags)
        # A probe that runs as nobody compiles for itself alone.
        if os.access(FOLDER, os.W_OK):
            unfinished = path.with_suffix(f".{os.getpid()}")
            compiled = _describe(module, bcc.lib.bpf_module_license(module.module), flows=_has_flows(text))
            unfinished.write_bytes(msgspec.msgpack.encode(compiled))
            unfinished.replace(path)
        return module


def _digest(text: bytes, cflags: Sequence[str]) -> str:
    # The same headers may be seen in different places, so they count by their content.
    told = hashlib.sha256(text)
    for flag in cflags:
        if flag.startswith(HEADERS):
            for header in sorted(Path(flag.removeprefix(HEADERS)).rglob("*.h")):
                told.update(header.read_bytes())
        elif not flag.startswith(SEED):
            told.update(flag.encode() + b"\n")
    return told.hexdigest()


def _import_real() -> Any:
    sys.path.remove(str(FOLDER))
    del sys.modules["bcc"]
    return importlib.import_module("bcc")


def _has_flows(text: bytes) -> bool:
    return f"int {CALLED_FOR_FLOWS}(".encode() in text


def _describe(module: Any, license_name: bytes, *, flows: bool) -> Compiled:
    maps = (*MAPS, *MAPS_FOR_FLOWS) if flows else MAPS
    fds = [module[name.encode()].map_fd for name in maps]
    programs = {}
    for name in (*PROGRAMS, *CALLED, *([CALLED_FOR_FLOWS] if flows else []), SWEEP):
        code = b""
        for instruction in _INSTRUCTION.iter_unpack(module.dump_func(name.encode())):
            operation, registers, offset, number = instruction
            if operation == _LOAD_IMMEDIATE and registers >> 4 == _PSEUDO_MAP_FD:
                if number not in fds:
                    fds.append(number)
                number = fds.index(number)
            code += _INSTRUCTION.pack(operation, registers, offset, number)
        programs[name] = code
    return Compiled([_read_kind(fd) for fd in fds], {name: i for i, name in enumerate(maps)}, programs, license_name)


def _read_kind(fd: int) -> MapKind:
    told = dict(re.findall(r"^(\w+):\s*(\w+)$", Path(f"/proc/self/fdinfo/{fd}").read_text(), re.MULTILINE))
    return MapKind(*(int(told[name], 0) for name in MapKind.__struct_fields__))


class _MapCreate(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint32) for name in MapKind.__struct_fields__)


class _Loader:
    """Maps and programs that were compiled before. The descriptors stay open until the process ends."""

    def __init__(self, compiled: Compiled) -> None:
        self._compiled = compiled
        self._fds = [call_bpf(_MAP_CREATE, _MapCreate(*msgspec.structs.astuple(kind))) for kind in compiled.maps]

    def __getitem__(self, name: bytes) -> SimpleNamespace:
        return SimpleNamespace(map_fd=self._fds[self._compiled.map_indexes[name.decode()]])

    def load_func(self, name: bytes, kind: int) -> SimpleNamespace:
        """Load a program. Raises OSError; what the verifier says then stands on stderr, as bcc's loader has it."""
        code = b""
        for operation, registers, offset, number in _INSTRUCTION.iter_unpack(self._compiled.programs[name.decode()]):
            takes_map = operation == _LOAD_IMMEDIATE and registers >> 4 == _PSEUDO_MAP_FD
            code += _INSTRUCTION.pack(operation, registers, offset, self._fds[number] if takes_map else number)
        instructions = ctypes.create_string_buffer(code, len(code))
        license_name = ctypes.create_string_buffer(self._compiled.license)
        attributes = ProgramLoad(
            prog_type=kind,
            insn_cnt=len(code) // _INSTRUCTION.size,
            insns=ctypes.addressof(instructions),
            license=ctypes.addressof(license_name),
            prog_name=name[: ProgramLoad.prog_name.size - 1],
        )
        try:
            return SimpleNamespace(fd=load_program(attributes))
        except OSError:
            log = ctypes.create_string_buffer(_LOG_BYTES)
            attributes.log_level, attributes.log_size, attributes.log_buf = 1, _LOG_BYTES, ctypes.addressof(log)
            with contextlib.suppress(OSError):
                load_program(attributes)
            sys.stderr.write(log.value.decode(errors="replace"))
            raise
