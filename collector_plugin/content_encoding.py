"""Unpacks request bodies (gzip, deflate, zstd) up to a limit, piece by piece: a bomb costs its limit, not its size.

Pure but for the reservation that the caller passes. The only module that imports zstandard.
"""

import enum
import io
import zlib
from collections.abc import Callable, Iterator

import zstandard

from collector_plugin.zstd_frames import ZstdFormatError, check_frames

MAX_WINDOW_BYTES = 8 << 20
"""What a zstd frame may ask to be remembered while it is unpacked: the most that RFC 8878 wants a reader to have."""

MAX_MEMBERS = 1_000
"""Members of one gzip body: an empty one takes twenty bytes, and some microseconds."""

_INPUT_BYTES = 64 << 10
_STEP_BYTES = 64 << 10
"""Unpacked and reserved at once. A body of 100 spans takes one step."""

_GZIP_WINDOW = 16 + zlib.MAX_WBITS


class ContentEncoding(enum.StrEnum):
    """The codings of RFC 9110, section 8.4, that bodies may come in."""

    IDENTITY = "identity"
    GZIP = "gzip"
    DEFLATE = "deflate"
    ZSTD = "zstd"


class ContentError(ValueError):
    """The body is not what its Content-Encoding says; the text repeats none of it."""


class ContentTooLargeError(ContentError):
    """The unpacked body is larger than the limit."""


class NoRoomError(Exception):
    """There is no room for the unpacked body now."""


def read_encoding(text: str) -> ContentEncoding | None:
    """Return the coding that a Content-Encoding header names; None for unknown ones, and for several at once."""
    name = text.strip().lower()
    if name == "x-gzip":
        # RFC 9110, section 8.4.1.3: to be taken for gzip.
        return ContentEncoding.GZIP
    try:
        return ContentEncoding(name or ContentEncoding.IDENTITY)
    except ValueError:
        return None


def unpack(data: bytes, encoding: ContentEncoding, limit_bytes: int, reserve: Callable[[int], bool]) -> bytes:
    """Return the content of `data`, at most `limit_bytes`.

    `reserve` is asked before each step for the bytes that it may take, and says False where there is no room. Raises
    ContentError, ContentTooLargeError, NoRoomError.
    """
    if encoding is ContentEncoding.IDENTITY:
        if len(data) > limit_bytes:
            raise ContentTooLargeError(f"larger than {limit_bytes} bytes")
        return data
    out = io.BytesIO()
    reserved_bytes = 0
    window_bytes = _check_zstd(data) if encoding is ContentEncoding.ZSTD else 0
    for piece in _unpack_steps(data, encoding):
        size_bytes = out.tell() + len(piece)
        if size_bytes > limit_bytes:
            raise ContentTooLargeError(f"unpacked larger than {limit_bytes} bytes")
        # One step ahead: the next piece exists before it can be counted. The window fills with what comes out.
        missing_bytes = size_bytes + min(size_bytes, window_bytes) + _STEP_BYTES - reserved_bytes
        if missing_bytes > 0:
            step_bytes = max(missing_bytes, _STEP_BYTES)
            if not reserve(step_bytes):
                raise NoRoomError
            reserved_bytes += step_bytes
        out.write(piece)
    # getvalue hands over its own buffer, so that a large body does not exist twice.
    return out.getvalue()


def _unpack_steps(data: bytes, encoding: ContentEncoding) -> Iterator[bytes]:
    try:
        if encoding is ContentEncoding.ZSTD:
            yield from _unpack_zstd(data)
        elif encoding is ContentEncoding.GZIP:
            yield from _unpack_zlib(data, _GZIP_WINDOW, MAX_MEMBERS)
        else:
            # RFC 9110, section 8.4.1.2: the zlib format, not bare deflate.
            yield from _unpack_zlib(data, zlib.MAX_WBITS, 1)
    except (zlib.error, zstandard.ZstdError) as error:
        raise ContentError(f"not {encoding}") from error


def _unpack_zlib(data: bytes, window: int, max_members: int) -> Iterator[bytes]:
    """Yield the content of up to `max_members` members (RFC 1952, section 2.2), and of nothing behind them."""
    unpacker = zlib.decompressobj(window)
    members = 1
    for start in range(0, len(data), _INPUT_BYTES):
        # Slices, since the library copies what it has not used yet at each step.
        rest = data[start : start + _INPUT_BYTES]
        while rest:
            if unpacker.eof:
                members += 1
                if members > max_members:
                    raise ContentError("something behind its end" if max_members == 1 else "too many members")
                unpacker = zlib.decompressobj(window)
            piece = unpacker.decompress(rest, _STEP_BYTES)
            rest = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
            if piece:
                yield piece
    while not unpacker.eof:
        # What the limit of the last step kept back inside the library.
        piece = unpacker.decompress(b"", _STEP_BYTES)
        if not piece:
            break
        yield piece
    if not unpacker.eof:
        raise ContentError("cut off")


def _check_zstd(data: bytes) -> int:
    """Return the largest window of the frames, which must be whole."""
    try:
        return check_frames(data)
    except ZstdFormatError as error:
        raise ContentError(f"not {ContentEncoding.ZSTD}: {error}") from error


def _unpack_zstd(data: bytes) -> Iterator[bytes]:
    unpacker = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
    with unpacker.stream_reader(data, read_across_frames=True) as reader:
        while piece := reader.read(_STEP_BYTES):
            yield piece
