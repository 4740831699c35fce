"""Checks that bytes are whole zstd frames, block by block, before anything is unpacked.

Pure. The library's bounded reader takes the end of its input for the end of the content, so that a truncated body
would be a shorter one. Format: RFC 8878, section 3.
"""

MAX_FRAMES = 1_000
MAX_BLOCKS = 100_000
"""A block takes three bytes and holds up to 128 KiB; with fewer a body could be nothing but empty ones."""

_MAGIC = 0xFD2FB528
_SKIPPABLE_MAGIC = 0x184D2A50
_SKIPPABLE_MASK = 0xFFFFFFF0
_HEAD_BYTES = 4
_BLOCK_HEAD_BYTES = 3
_CHECKSUM_BYTES = 4
_RLE, _RESERVED = 1, 3
_DICTIONARY_BYTES = (0, 1, 2, 4)
_CONTENT_SIZE_BYTES = (0, 2, 4, 8)
_SHORT_SIZE = 2


class ZstdFormatError(ValueError):
    """The bytes are not whole zstd frames; the text says what was wrong, and repeats none of them."""


def check_frames(data: bytes) -> int:
    """Require that `data` is one or more whole frames and nothing else. Raises ZstdFormatError.

    Returns the largest window in bytes: what must be remembered while a frame is unpacked.
    """
    position = blocks = frames = window_bytes = 0
    if not data:
        raise ZstdFormatError("no frame")
    while position < len(data):
        frames += 1
        if frames > MAX_FRAMES:
            raise ZstdFormatError(f"more than {MAX_FRAMES} frames")
        magic = int.from_bytes(data[position : position + _HEAD_BYTES], "little")
        if magic == _MAGIC:
            start, checksum, window = _read_head(data, position + _HEAD_BYTES)
            window_bytes = max(window_bytes, window)
            position, blocks = _walk_blocks(data, start, blocks)
            position += checksum
        elif magic & _SKIPPABLE_MASK == _SKIPPABLE_MAGIC:
            start = position + _HEAD_BYTES
            size = int.from_bytes(data[start : start + _HEAD_BYTES], "little")
            position = start + _HEAD_BYTES + size
        else:
            raise ZstdFormatError("something that is no frame")
        if position > len(data):
            raise ZstdFormatError("a frame that is cut off")
    return window_bytes


def _read_head(data: bytes, position: int) -> tuple[int, int, int]:
    """Return where the blocks begin, how long the checksum behind them is, and the window.

    `position` is that of the frame header descriptor.
    """
    if position >= len(data):
        raise ZstdFormatError("a frame that is cut off")
    descriptor = data[position]
    is_single_segment = bool(descriptor & 0x20)
    content_size = _CONTENT_SIZE_BYTES[descriptor >> 6] or int(is_single_segment)
    size_start = position + 1 + (not is_single_segment) + _DICTIONARY_BYTES[descriptor & 3]
    start = size_start + content_size
    if start > len(data):
        raise ZstdFormatError("a frame that is cut off")
    if is_single_segment:
        # The window is the content (section 3.1.1.1.2); of two bytes its size is told less 256.
        window = int.from_bytes(data[size_start:start], "little") + (256 if content_size == _SHORT_SIZE else 0)
    else:
        exponent, mantissa = data[position + 1] >> 3, data[position + 1] & 7
        window = (1 << 10 + exponent) // 8 * (8 + mantissa)
    return start, _CHECKSUM_BYTES if descriptor & 4 else 0, window


def _walk_blocks(data: bytes, position: int, blocks: int) -> tuple[int, int]:
    """Return the position behind the last block, and `blocks` with those of this frame."""
    while True:
        blocks += 1
        if blocks > MAX_BLOCKS:
            raise ZstdFormatError(f"more than {MAX_BLOCKS} blocks")
        end = position + _BLOCK_HEAD_BYTES
        if end > len(data):
            raise ZstdFormatError("a frame that is cut off")
        head = int.from_bytes(data[position:end], "little")
        kind = head >> 1 & 3
        if kind == _RESERVED:
            raise ZstdFormatError("a block of an unknown kind")
        position = end + (1 if kind == _RLE else head >> 3)
        if head & 1:
            return position, blocks
