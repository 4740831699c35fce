"""Runs a command as on a kernel without tcx (below 6.6): `python -m tests.kernel.without_tcx COMMAND [ARGUMENT ...]`.

A seccomp filter answers BPF_LINK_CREATE with EINVAL, as such a kernel does, for the command and all that it starts.
Nothing of the program under test is touched.
"""

import ctypes
import errno
import os
import struct
import sys

WRAPPER = (sys.executable, "-m", "tests.kernel.without_tcx")
"""What to put before a command, in the folder of the checkout."""

_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_RET_ERRNO, _RET_ALLOW = 0x00050000, 0x7FFF0000
_LOAD, _JUMP_UNLESS_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER_AT, _FIRST_ARGUMENT_AT = 0, 16  # struct seccomp_data
_BPF, _BPF_LINK_CREATE = 321, 28  # x86-64, the one architecture that is supported


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def refuse_links() -> None:
    """Set the filter for this process. Needs CAP_SYS_ADMIN, and so leaves no_new_privs as it is."""
    code = (
        (_LOAD, 0, 0, _NUMBER_AT),
        (_JUMP_UNLESS_EQUAL, 0, 3, _BPF),
        (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
        (_JUMP_UNLESS_EQUAL, 0, 1, _BPF_LINK_CREATE),
        (_RETURN, 0, 0, _RET_ERRNO | errno.EINVAL),
        (_RETURN, 0, 0, _RET_ALLOW),
    )
    text = b"".join(struct.pack("=HBBI", *instruction) for instruction in code)
    instructions = ctypes.create_string_buffer(text, len(text))
    program = _Program(len(code), ctypes.addressof(instructions))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program)) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


if __name__ == "__main__":
    refuse_links()
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - the process itself has to become the command
