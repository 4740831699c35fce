"""The bpf(2) system call: maps and tcx links. The only module that makes it; it knows no program.

libbpf is not asked, since none of what is needed here needs its loader, and the agent stays small.
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator
from pathlib import Path

# asm/unistd.h: the architectures that the probe supports.
_SYSCALL_NUMBERS = {"x86_64": 321, "aarch64": 280}

_MAP_LOOKUP_ELEM = 1
_MAP_UPDATE_ELEM = 2
_MAP_DELETE_ELEM = 3
_PROG_LOAD = 5
_PROG_TEST_RUN = 10
_MAP_LOOKUP_AND_DELETE_ELEM = 21
_MAP_LOOKUP_BATCH = 24
_LINK_CREATE = 28

TCX_INGRESS = 46
TCX_EGRESS = 47

_BPF_F_BEFORE = 1 << 3
"""With no relative program: at the head of the chain (kernel 6.6)."""

_BATCH_ENTRIES = 1024
"""Entries a call: more than any bucket of a hash map holds, which a call must take whole; some 300 KiB of buffers."""

_PROG_TYPE_SCHED_CLS = 3
_IDLE_PROGRAM = struct.pack("=BBhiBBhi", 0xB7, 0, 0, -1, 0x95, 0, 0, 0)
"""r0 = -1; exit."""

_libc = ctypes.CDLL(None, use_errno=True)


class _MapElement(ctypes.Structure):
    _fields_ = (
        ("map_fd", ctypes.c_uint32),
        ("pad", ctypes.c_uint32),
        ("key", ctypes.c_uint64),
        ("value", ctypes.c_uint64),
        ("flags", ctypes.c_uint64),
    )


class _MapBatch(ctypes.Structure):
    _fields_ = (
        ("in_batch", ctypes.c_uint64),
        ("out_batch", ctypes.c_uint64),
        ("keys", ctypes.c_uint64),
        ("values", ctypes.c_uint64),
        ("count", ctypes.c_uint32),
        ("map_fd", ctypes.c_uint32),
        ("elem_flags", ctypes.c_uint64),
        ("flags", ctypes.c_uint64),
    )


class _LinkCreate(ctypes.Structure):
    _fields_ = (
        ("prog_fd", ctypes.c_uint32),
        ("target_ifindex", ctypes.c_uint32),
        ("attach_type", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("relative_fd", ctypes.c_uint32),
        ("pad", ctypes.c_uint32),
        ("expected_revision", ctypes.c_uint64),
        ("rest", ctypes.c_uint8 * 32),
    )


class ProgramRun(ctypes.Structure):
    """The attributes of BPF_PROG_TEST_RUN."""

    _fields_ = (
        ("prog_fd", ctypes.c_uint32),
        ("retval", ctypes.c_uint32),
        ("data_size_in", ctypes.c_uint32),
        ("data_size_out", ctypes.c_uint32),
        ("data_in", ctypes.c_uint64),
        ("data_out", ctypes.c_uint64),
        ("repeat", ctypes.c_uint32),
        ("duration", ctypes.c_uint32),
        ("ctx_size_in", ctypes.c_uint32),
        ("ctx_size_out", ctypes.c_uint32),
        ("ctx_in", ctypes.c_uint64),
        ("ctx_out", ctypes.c_uint64),
        ("flags", ctypes.c_uint32),
        ("cpu", ctypes.c_uint32),
        ("batch_size", ctypes.c_uint32),
        ("pad", ctypes.c_uint32),
    )


class ProgramLoad(ctypes.Structure):
    """The attributes of BPF_PROG_LOAD, as far as the program's name."""

    _fields_ = (
        ("prog_type", ctypes.c_uint32),
        ("insn_cnt", ctypes.c_uint32),
        ("insns", ctypes.c_uint64),
        ("license", ctypes.c_uint64),
        ("log_level", ctypes.c_uint32),
        ("log_size", ctypes.c_uint32),
        ("log_buf", ctypes.c_uint64),
        ("kern_version", ctypes.c_uint32),
        ("prog_flags", ctypes.c_uint32),
        ("prog_name", ctypes.c_char * 16),
    )


def call_bpf(command: int, attributes: ctypes.Structure) -> int:
    """Make the system call and return its result. Raises OSError."""
    number = _SYSCALL_NUMBERS.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, f"bpf(2) on {platform.machine()} is not known here")
    result: int = _libc.syscall(
        ctypes.c_long(number),
        ctypes.c_int(command),
        ctypes.byref(attributes),
        ctypes.c_uint(ctypes.sizeof(attributes)),
    )
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def load_program(attributes: ProgramLoad) -> int:
    """Load a program and return its fd. Raises OSError; the verifier's words are where the attributes have them."""
    return call_bpf(_PROG_LOAD, attributes)


def load_idle_program() -> int:
    """Load a tc program that does nothing but answer TC_ACT_UNSPEC, and return its fd. Raises OSError."""
    instructions = ctypes.create_string_buffer(_IDLE_PROGRAM, len(_IDLE_PROGRAM))
    licence = ctypes.create_string_buffer(b"Apache-2.0")
    attributes = ProgramLoad(
        prog_type=_PROG_TYPE_SCHED_CLS,
        insn_cnt=len(_IDLE_PROGRAM) // 8,
        insns=ctypes.addressof(instructions),
        license=ctypes.addressof(licence),
    )
    return load_program(attributes)


def create_tcx_link(program_fd: int, ifindex: int, attach_type: int) -> int:
    """Attach a program at the head of a device's tcx chain, in the caller's network namespace; return the link's fd.

    The link is not pinned: it ends with its last fd, also by SIGKILL. Raises OSError, EINVAL below kernel 6.6.
    """
    attributes = _LinkCreate(prog_fd=program_fd, target_ifindex=ifindex, attach_type=attach_type, flags=_BPF_F_BEFORE)
    return call_bpf(_LINK_CREATE, attributes)


def run_program(attributes: ProgramRun) -> None:
    """Run a program once or more, in this process; what it answered stands in `attributes`. Raises OSError."""
    call_bpf(_PROG_TEST_RUN, attributes)


def possible_cpus() -> int:
    """Return how many CPUs the kernel may have: a per-CPU value has room for each (`possible`, "0-1,4")."""
    total = 0
    for part in Path("/sys/devices/system/cpu/possible").read_text().strip().split(","):
        first, _, last = part.partition("-")
        total += int(last or first) - int(first) + 1
    return total


class BpfMap:
    """A map by its fd, with keys and values as bytes of fixed sizes."""

    def __init__(self, fd: int, key_bytes: int, value_bytes: int) -> None:
        """Take the sizes as the program declared them; a per-CPU value is read as all CPUs' values in a row."""
        self._fd = fd
        self._key_bytes = key_bytes
        self._value_bytes = value_bytes

    def lookup(self, key: bytes) -> bytes | None:
        """Return the value of `key`, None where it is absent."""
        return self._read(_MAP_LOOKUP_ELEM, key)

    def take(self, key: bytes) -> bytes | None:
        """Remove `key` and return its value, None where it is absent; a program may be faster."""
        return self._read(_MAP_LOOKUP_AND_DELETE_ELEM, key)

    def update(self, key: bytes, value: bytes) -> None:
        """Set the value of `key`."""
        self._call(_MAP_UPDATE_ELEM, key, ctypes.create_string_buffer(value, self._value_bytes))

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield key and value of all entries, read in batches (hash maps, kernel 5.6).

        Entries that come or go meanwhile may or may not be among them. The map may be changed between two items.
        """
        keys = ctypes.create_string_buffer(_BATCH_ENTRIES * self._key_bytes)
        values = ctypes.create_string_buffer(_BATCH_ENTRIES * self._value_bytes)
        position = ctypes.c_uint64(0)
        batch = _MapBatch(
            out_batch=ctypes.addressof(position),
            keys=ctypes.addressof(keys),
            values=ctypes.addressof(values),
            map_fd=self._fd,
        )
        more = True
        while more:
            batch.count = _BATCH_ENTRIES
            try:
                call_bpf(_MAP_LOOKUP_BATCH, batch)
            except FileNotFoundError:
                more = False  # the end was reached; `count` entries were still read
            batch.in_batch = ctypes.addressof(position)
            key_view, value_view = memoryview(keys), memoryview(values)
            for i in range(batch.count):
                yield (
                    bytes(key_view[i * self._key_bytes : (i + 1) * self._key_bytes]),
                    bytes(value_view[i * self._value_bytes : (i + 1) * self._value_bytes]),
                )

    def _read(self, command: int, key: bytes) -> bytes | None:
        found = ctypes.create_string_buffer(self._value_bytes)
        try:
            self._call(command, key, found)
        except FileNotFoundError:
            return None
        return found.raw

    def _call(self, command: int, key: bytes, value: ctypes.Array[ctypes.c_char]) -> None:
        # Buffers of its own for each call, since the metrics' threads read the same maps as the agent's; and a name
        # for each, since the kernel is given addresses, which keep nothing alive.
        key_buffer = ctypes.create_string_buffer(key, self._key_bytes)
        element = _MapElement(map_fd=self._fd, key=ctypes.addressof(key_buffer), value=ctypes.addressof(value))
        call_bpf(command, element)
