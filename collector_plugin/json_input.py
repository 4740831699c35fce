"""Reads JSON from outside with msgspec, and answers with a value or WireError.

Pure. msgspec looks into no text that it skips, so UTF-8 is checked here; and it takes no half of a surrogate pair,
which JavaScript writes where it cut a text in two, and which Java's readers take: such halves are read as U+FFFD.
"""

import codecs
import contextvars
import re
from typing import TypeVar

import msgspec

from hopspan.protowire import WireError

_CHUNK_BYTES = 64 << 10
"""Checked at once: as text, four times as much may be needed for it."""

# Escapes that are kept come first: a backslash that is one itself does not begin another.
_SURROGATES = re.compile(
    rb"(\\[^u]|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
_REPLACEMENT = rb"\ufffd"

_Value = TypeVar("_Value")


def decode_json(decoder: msgspec.json.Decoder[_Value], data: bytes) -> _Value:
    """Return what `decoder` makes of `data`. Raises WireError, which says what was wrong and where."""
    check_utf8(data)
    try:
        return _decode(decoder, data)
    except WireError:
        mended = mend_surrogates(data)
        if mended == data:
            raise
    return _decode(decoder, mended)


def _decode(decoder: msgspec.json.Decoder[_Value], data: bytes) -> _Value:
    try:
        return decoder.decode(data)
    except RecursionError as error:
        raise WireError("JSON is nested too deeply") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WireError(str(error)) from error


def check_utf8(data: bytes) -> None:
    """Raise WireError unless `data` is UTF-8."""
    if data.isascii():
        return
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), _CHUNK_BYTES):
            decoder.decode(data[start : start + _CHUNK_BYTES])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise WireError("JSON is not UTF-8") from error


def mend_surrogates(data: bytes) -> bytes:
    r"""Return JSON with \ufffd for each escape that is half of a pair without the other half."""
    return _SURROGATES.sub(lambda match: match[1] or _REPLACEMENT, data)


class Allowance:
    """How many objects more may be made of the JSON that is decoded here; each thread has its own.

    A list is bounded by msgspec only when all of it was made, and `{}` takes three bytes and becomes a hundred.
    """

    def __init__(self) -> None:
        """Allow none."""
        self._left = contextvars.ContextVar("left", default=0)

    def set(self, count: int) -> None:
        """Allow `count` objects."""
        self._left.set(count)

    def take(self) -> None:
        """Count one object. Raises ValueError where none is left, with which msgspec stops."""
        left = self._left.get() - 1
        self._left.set(left)
        if left < 0:
            raise ValueError("too many objects")

    @property
    def is_exceeded(self) -> bool:
        """Tell whether decoding was stopped for that."""
        return self._left.get() < 0
