"""Loads tiny programs that are not hopspan's: the empty one, and those that prepare a run and tail-call another.

PROG_TEST_RUN gives every repetition the same packet, which hopspan then knows already. So a preparing program changes
the packet, or takes a stamp back, before each run; what it costs itself is found by letting it call the empty one.
The ExitStack that is given closes all: the array by which a program calls another is empty without a descriptor.
"""

import ctypes
import os
import struct
from collections.abc import Mapping
from contextlib import ExitStack

from node_probe.bpf import BpfMap, ProgramLoad, call_bpf, load_program

_MAP_CREATE = 0
_PROG_ARRAY, _SCHED_CLS = 3, 3
_MAP_LOOKUP_ELEM, _SKB_STORE_BYTES, _TAIL_CALL, _SKB_LOAD_BYTES = 1, 9, 12, 26  # enum bpf_func_id
_PSEUDO_MAP_FD = 1
_LOG_BYTES = 1 << 16

_MOVE, _MOVE_NUMBER, _ADD, _ADD_NUMBER = 0xBF, 0xB7, 0x0F, 0x07
_LOAD_64, _STORE_64, _STORE_NUMBER_8, _LOAD_IMMEDIATE = 0x79, 0x7B, 0x72, 0x18
_LOAD_32, _STORE_32, _TO_NETWORK = 0x61, 0x63, 0xDC
_JUMP_IF_NUMBER, _CALL, _EXIT = 0x15, 0x85, 0x95
_CONTEXT, _FRAME = 6, 10
"""Registers: the context is kept in a callee-saved one."""


class _Map(ctypes.Structure):
    _fields_ = (
        ("map_type", ctypes.c_uint32),
        ("key_size", ctypes.c_uint32),
        ("value_size", ctypes.c_uint32),
        ("max_entries", ctypes.c_uint32),
    )


def load_empty(stack: ExitStack) -> int:
    """Load a program that answers TC_ACT_UNSPEC and does nothing else; return its fd."""
    return _load(stack, _leave())


def load_renumbering(stack: ExitStack, target: int, tcp_offset: int) -> int:
    """Load a program that makes each run's packet a new message for the program `target`; return its fd.

    Sequence and acknowledgement number, which lie beside each other in the TCP header at `tcp_offset`, grow by one.
    """
    where = _number(2, tcp_offset + 4) + _stack_pointer(3, -8) + _number(4, 8)
    code = _keep_context() + where + _instruction(_CALL, number=_SKB_LOAD_BYTES)
    code += _instruction(_LOAD_64, 2, _FRAME, -8) + _wide_number(3, 1 << 32 | 1) + _instruction(_ADD, 2, 3)
    code += _instruction(_STORE_64, _FRAME, 2, -8) + _instruction(_MOVE, 1, _CONTEXT) + where + _number(5, 0)
    code += _instruction(_CALL, number=_SKB_STORE_BYTES) + _call_other(stack, target)
    return _load(stack, code + _leave())


def load_advancing(stack: ExitStack, target: int, steps: Mapping[int, int]) -> int:
    """Load a program that advances numbers of 32 bits in each run's packet for the program `target`; return its fd.

    `steps` has the numbers' offsets in the frame, and what each grows by.
    """
    code = _keep_context()
    for offset, step in steps.items():
        where = _number(2, offset) + _stack_pointer(3, -8) + _number(4, 4)
        code += _instruction(_MOVE, 1, _CONTEXT) + where + _instruction(_CALL, number=_SKB_LOAD_BYTES)
        code += _instruction(_LOAD_32, 2, _FRAME, -8) + _instruction(_TO_NETWORK, 2, number=32)
        code += _instruction(_ADD_NUMBER, 2, number=step) + _instruction(_TO_NETWORK, 2, number=32)
        code += _instruction(_STORE_32, _FRAME, 2, -8) + _instruction(_MOVE, 1, _CONTEXT) + where + _number(5, 0)
        code += _instruction(_CALL, number=_SKB_STORE_BYTES)
    return _load(stack, code + _call_other(stack, target) + _leave())


def load_unstamping(stack: ExitStack, target: int, transits: int, index: int, unstamped: tuple[int, int]) -> int:
    """Load a program that takes a stamp back before the program `target` makes it anew; return its fd.

    `unstamped` are the offset of a byte in the slot of that index in the array `transits`, and its new value.
    """
    offset, value = unstamped
    code = _keep_context() + _number(2, index) + _instruction(_STORE_64, _FRAME, 2, -8)
    code += _stack_pointer(2, -8) + _wide_number(1, transits, _PSEUDO_MAP_FD)
    code += _instruction(_CALL, number=_MAP_LOOKUP_ELEM) + _instruction(_JUMP_IF_NUMBER, 0, offset=1, number=0)
    code += _instruction(_STORE_NUMBER_8, 0, offset=offset, number=value)
    return _load(stack, code + _call_other(stack, target) + _leave())


def _instruction(code: int, to: int = 0, source: int = 0, offset: int = 0, number: int = 0) -> bytes:
    return struct.pack("=BBhi", code, to | source << 4, offset, number)


def _number(register: int, number: int) -> bytes:
    return _instruction(_MOVE_NUMBER, register, number=number)


def _wide_number(register: int, number: int, kind: int = 0) -> bytes:
    low, high = struct.unpack("=ii", struct.pack("=Q", number))
    return _instruction(_LOAD_IMMEDIATE, register, kind, number=low) + _instruction(0, number=high)


def _stack_pointer(register: int, offset: int) -> bytes:
    return _instruction(_MOVE, register, _FRAME) + _instruction(_ADD_NUMBER, register, number=offset)


def _keep_context() -> bytes:
    return _instruction(_MOVE, _CONTEXT, 1)


def _leave() -> bytes:
    return _number(0, -1) + _instruction(_EXIT)


def _call_other(stack: ExitStack, target: int) -> bytes:
    array = call_bpf(_MAP_CREATE, _Map(map_type=_PROG_ARRAY, key_size=4, value_size=4, max_entries=1))
    stack.callback(os.close, array)
    BpfMap(array, 4, 4).update(bytes(4), struct.pack("=I", target))
    where = _instruction(_MOVE, 1, _CONTEXT) + _wide_number(2, array, _PSEUDO_MAP_FD) + _number(3, 0)
    return where + _instruction(_CALL, number=_TAIL_CALL)


def _load(stack: ExitStack, code: bytes) -> int:
    log = ctypes.create_string_buffer(_LOG_BYTES)
    instructions = ctypes.create_string_buffer(code, len(code))
    name = ctypes.create_string_buffer(b"GPL")
    attributes = ProgramLoad(
        prog_type=_SCHED_CLS,
        insn_cnt=len(code) // 8,
        insns=ctypes.addressof(instructions),
        license=ctypes.addressof(name),
        log_level=1,
        log_size=_LOG_BYTES,
        log_buf=ctypes.addressof(log),
    )
    try:
        fd = load_program(attributes)
    except OSError as error:
        error.add_note(log.value.decode(errors="replace"))
        raise
    stack.callback(os.close, fd)
    return fd
