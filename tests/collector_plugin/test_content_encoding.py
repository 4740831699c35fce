"""Packed bodies: the same bytes come out, and a bomb, a cut or a tail costs no more than its limit."""

import gzip
import random
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
import zstandard

from collector_plugin.content_encoding import (
    MAX_MEMBERS,
    MAX_WINDOW_BYTES,
    ContentEncoding,
    ContentError,
    ContentTooLargeError,
    NoRoomError,
    read_encoding,
    unpack,
)
from collector_plugin.zstd_frames import MAX_BLOCKS, MAX_FRAMES, check_frames

LIMIT = 1 << 20

PACK: dict[ContentEncoding, Callable[[bytes], bytes]] = {
    ContentEncoding.IDENTITY: lambda data: data,
    ContentEncoding.GZIP: gzip.compress,
    ContentEncoding.DEFLATE: zlib.compress,
    ContentEncoding.ZSTD: zstandard.ZstdCompressor(write_checksum=True).compress,
}
PACKED = [encoding for encoding in ContentEncoding if encoding is not ContentEncoding.IDENTITY]


def make_data(size: int) -> bytes:
    """Return bytes that can be packed by half."""
    return bytes(random.Random(size).choices(range(16), k=size))  # noqa: S311 - a body, no secret


def give_room(_count: int) -> bool:
    """Reserve whatever is asked for."""
    return True


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("", ContentEncoding.IDENTITY),
        ("gzip", ContentEncoding.GZIP),
        (" GZIP ", ContentEncoding.GZIP),
        ("x-gzip", ContentEncoding.GZIP),
        ("deflate", ContentEncoding.DEFLATE),
        ("zstd", ContentEncoding.ZSTD),
        ("identity", ContentEncoding.IDENTITY),
        ("br", None),
        ("gzip, gzip", None),
        ("gzip,", None),
    ],
)
def test_names_of_codings(text: str, encoding: ContentEncoding | None) -> None:
    """One coding that is known, in any case; no header is none."""
    assert read_encoding(text) is encoding


@pytest.mark.parametrize("encoding", ContentEncoding)
@pytest.mark.parametrize("size", [0, 1, 57_700, 64 << 10, (64 << 10) + 1, LIMIT])
def test_same_bytes_come_out(encoding: ContentEncoding, size: int) -> None:
    """From nothing to exactly the limit."""
    data = make_data(size)
    assert unpack(PACK[encoding](data), encoding, LIMIT, give_room) == data


@pytest.mark.parametrize("encoding", ContentEncoding)
def test_one_byte_above_the_limit_is_too_much(encoding: ContentEncoding) -> None:
    """The limit is that of the unpacked size."""
    with pytest.raises(ContentTooLargeError, match=str(LIMIT)):
        unpack(PACK[encoding](make_data(LIMIT + 1)), encoding, LIMIT, give_room)


@pytest.mark.parametrize("encoding", PACKED)
def test_bomb_costs_its_limit(encoding: ContentEncoding) -> None:
    """200 MB out of 200 kB or less: unpacked up to the limit, and dropped."""
    bomb = PACK[encoding](bytes(200 << 20))
    assert len(bomb) < 300_000
    tracemalloc.start()
    try:
        with pytest.raises(ContentTooLargeError):
            unpack(bomb, encoding, LIMIT, give_room)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * LIMIT


@pytest.mark.parametrize("encoding", PACKED)
def test_each_cut_is_an_error(encoding: ContentEncoding) -> None:
    """A body that ends early is not a shorter body, wherever it ends."""
    packed = PACK[encoding](make_data(300))
    for end in range(len(packed)):
        with pytest.raises(ContentError):
            unpack(packed[:end], encoding, LIMIT, give_room)


@pytest.mark.parametrize("encoding", PACKED)
@pytest.mark.parametrize("tail", [b"\0", b"tail", b"\x1f\x8b", b"\x28\xb5\x2f\xfd"])
def test_tail_is_an_error(encoding: ContentEncoding, tail: bytes) -> None:
    """What stands behind the end is not ignored: nobody knows what it is."""
    with pytest.raises(ContentError):
        unpack(PACK[encoding](b"spans") + tail, encoding, LIMIT, give_room)


@pytest.mark.parametrize("encoding", PACKED)
def test_flipped_bytes_never_escape(encoding: ContentEncoding) -> None:
    """Whatever a byte becomes: the content, other content of bounded size, or the one documented error."""
    chance = random.Random(23)  # noqa: S311 - a body, no secret
    packed = PACK[encoding](make_data(2_000))
    for _ in range(500):
        broken = bytearray(packed)
        broken[chance.randrange(len(packed))] = chance.randrange(256)
        try:
            content = unpack(bytes(broken), encoding, LIMIT, give_room)
        except ContentError:
            continue
        assert len(content) <= LIMIT


@pytest.mark.parametrize("encoding", PACKED)
def test_random_bytes_are_an_error(encoding: ContentEncoding) -> None:
    """Nothing that was not packed gets through."""
    chance = random.Random(29)  # noqa: S311 - a body, no secret
    for size in range(1, 200):
        with pytest.raises(ContentError):
            unpack(chance.randbytes(size), encoding, LIMIT, give_room)


def test_gzip_of_several_members_is_one_body() -> None:
    """RFC 1952, section 2.2: appended files are one; deflate has no such thing."""
    parts = [make_data(70_000), b"", make_data(100)]
    body = b"".join(gzip.compress(part) for part in parts)
    assert unpack(body, ContentEncoding.GZIP, LIMIT, give_room) == b"".join(parts)
    with pytest.raises(ContentError, match="behind its end"):
        unpack(zlib.compress(b"a") + zlib.compress(b"b"), ContentEncoding.DEFLATE, LIMIT, give_room)


def test_zstd_of_several_frames_is_one_body() -> None:
    """RFC 8878, section 3: frames are appended, and those to be skipped are."""
    skipped = b"\x53\x2a\x4d\x18" + (3).to_bytes(4, "little") + b"abc"
    pack = PACK[ContentEncoding.ZSTD]
    body = pack(b"one") + skipped + pack(b"two")
    assert unpack(body, ContentEncoding.ZSTD, LIMIT, give_room) == b"onetwo"


def test_zstd_of_unknown_length_is_taken() -> None:
    """As the Collector's exporters write it: in a stream, flushed in the middle, without the content's size."""
    stream = zstandard.ZstdCompressor().compressobj()
    data = make_data(200_000)
    body = stream.compress(data[:1000]) + stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    body += stream.compress(data[1000:]) + stream.flush()
    assert unpack(body, ContentEncoding.ZSTD, LIMIT, give_room) == data


@pytest.mark.parametrize(
    ("body", "encoding", "said"),
    [
        (gzip.compress(b"") * (MAX_MEMBERS + 1), ContentEncoding.GZIP, "too many members"),
        (PACK[ContentEncoding.ZSTD](b"") * (MAX_FRAMES + 1), ContentEncoding.ZSTD, "frames"),
        (b"\x28\xb5\x2f\xfd\x20\x00" + bytes(3 * MAX_BLOCKS) + b"\1\0\0", ContentEncoding.ZSTD, "blocks"),
        (b"\x28\xb5\x2f\xfd\x20\x00\x07\x00\x00", ContentEncoding.ZSTD, "unknown kind"),
        (b"", ContentEncoding.ZSTD, "no frame"),
    ],
    ids=["members", "frames", "blocks", "kind", "nothing"],
)
def test_empty_parts_are_bounded(body: bytes, encoding: ContentEncoding, said: str) -> None:
    """Parts that hold nothing would cost time and no space."""
    with pytest.raises(ContentError, match=said):
        unpack(body, encoding, LIMIT, give_room)


def test_zstd_window_is_bounded() -> None:
    """A frame cannot ask for more memory than RFC 8878 has readers give."""
    parameters = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=False)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    body = stream.compress(b"a") + stream.flush()
    assert zstandard.get_frame_parameters(body).window_size > MAX_WINDOW_BYTES
    with pytest.raises(ContentError):
        unpack(body, ContentEncoding.ZSTD, LIMIT, give_room)


@pytest.mark.parametrize("size", [100, 256, 700, 65_791, 65_792, 3_000_000])
@pytest.mark.parametrize("is_size_told", [False, True])
def test_zstd_window_is_what_the_library_says(size: int, is_size_told: bool) -> None:  # noqa: FBT001 - a column
    """It is reserved, so it must be known, in each form that a frame tells it in."""
    pack = zstandard.ZstdCompressor(level=3, write_content_size=is_size_told)
    body = pack.compress(make_data(size))
    assert check_frames(body) == zstandard.get_frame_parameters(body).window_size


@pytest.mark.parametrize("encoding", PACKED)
def test_room_is_asked_for_before_it_is_used(encoding: ContentEncoding) -> None:
    """Step by step; where there is no room for the next one it ends there."""
    asked: list[int] = []
    data = make_data(500_000)

    def reserve(count: int) -> bool:
        asked.append(count)
        return sum(asked) <= 300_000

    with pytest.raises(NoRoomError):
        unpack(PACK[encoding](data), encoding, LIMIT, reserve)
    assert 300_000 < sum(asked) <= 300_000 + (1 << 20)
