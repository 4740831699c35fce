"""Streams of other protocols as they lie in TCP, with contexts in them where applications put some: made by code.

Each maker returns what one side of a connection says. None is HTTP/2, so nothing in them is a context of HTTP/2.
"""

import random
import struct
from collections.abc import Callable

from tests.kernel.packets import TRACEPARENT

Maker = Callable[[random.Random], bytes]

COMMENT = f"/*traceparent='{TRACEPARENT}',tracestate='vendor%3D1'*/".encode()
SQL = b"SELECT * FROM cart WHERE id = $1 " + COMMENT
"""With the comment of sqlcommenter."""


def noise(dice: random.Random, most: int = 400) -> bytes:
    return dice.randbytes(dice.randrange(most))


def postgresql_client(dice: random.Random) -> bytes:
    """Start-up and queries: a letter, a length that counts itself, the body."""

    def message(letter: bytes, body: bytes) -> bytes:
        return letter + struct.pack("!I", len(body) + 4) + body

    login = struct.pack("!I", 196608) + b"user\0app\0database\0shop\0\0"
    stream = struct.pack("!II", 8, 80877103) + message(b"", login) + message(b"p", b"secret\0")
    for number in range(dice.randrange(1, 8)):
        stream += message(b"P", b"s%d\0" % number + SQL + b"\0" + struct.pack("!HI", 1, 23))
        value = noise(dice)
        stream += message(b"B", struct.pack("!HHHI", 0, 0, 1, len(value)) + value + struct.pack("!H", 0))
        stream += message(b"E", b"\0\0\0\0\0") + message(b"S", b"") + message(b"Q", SQL + b"\0")
    return stream


def postgresql_server(dice: random.Random) -> bytes:
    """Rows, of which some hold contexts."""
    stream = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"
    for _ in range(dice.randrange(1, 30)):
        columns = [noise(dice, 40), TRACEPARENT.encode(), b"", noise(dice, 9)]
        row = struct.pack("!H", len(columns)) + b"".join(struct.pack("!I", len(c)) + c for c in columns)
        stream += b"D" + struct.pack("!I", len(row) + 4) + row
    return stream + b"C\0\0\0\x0dSELECT 1\0"


def redis(dice: random.Random) -> bytes:
    """Arrays of strings with their lengths, and sometimes raw values."""
    words = [b"SET", b"traceparent", TRACEPARENT.encode(), noise(dice), b"PX", b"1000"]
    array = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)
    return array * dice.randrange(1, 6)


def kafka_record(dice: random.Random) -> bytes:
    """A record with headers: all lengths are zigzag numbers."""

    def zigzag(value: int) -> bytes:
        value, coded = value * 2, b""
        while value > 127:
            coded, value = coded + bytes([value & 127 | 128]), value >> 7
        return coded + bytes([value])

    key, value = noise(dice, 20), noise(dice)
    header = zigzag(11) + b"traceparent" + zigzag(55) + TRACEPARENT.encode()
    body = b"\0" + zigzag(0) + zigzag(0) + zigzag(len(key)) + key + zigzag(len(value)) + value + zigzag(1) + header
    return zigzag(len(body)) + body


def kafka_client(dice: random.Random) -> bytes:
    """Requests to produce: a length, key and version of the interface, a number, the client's name, the records."""
    stream = b""
    for number in range(dice.randrange(1, 20)):
        batch = b"".join(kafka_record(dice) for _ in range(dice.randrange(1, 4)))
        head = struct.pack("!HHIH", dice.choice([0, 1, 3, 11]), dice.randrange(13), number, 4) + b"cart"
        body = head + struct.pack("!HIIQ", 1, 30000, 1, 0) + batch + noise(dice, 256)
        stream += struct.pack("!I", len(body)) + body
    return stream


def kafka_server(dice: random.Random) -> bytes:
    """Answers: a length and the request's number; of small ones the head looks much like a frame's."""
    stream = b""
    for number in range(dice.randrange(1, 40)):
        body = struct.pack("!I", number) + dice.randbytes(dice.choice([256, 257, 512, 513, dice.randrange(800)]))
        stream += struct.pack("!I", len(body) - dice.randrange(2)) + body
    return stream


def mongodb(dice: random.Random) -> bytes:
    """OP_MSG: little-endian lengths and numbers, then a document."""
    text = TRACEPARENT.encode() + b"\0"
    document = b"\x02traceparent\0" + struct.pack("<I", len(text)) + text + b"\x10n\0" + dice.randbytes(4)
    document += b"\x05blob\0" + struct.pack("<IB", 100, 0) + dice.randbytes(100)
    document = struct.pack("<I", len(document) + 5) + document + b"\0"
    body = struct.pack("<IB", 0, 0) + document
    return struct.pack("<IIII", len(body) + 16, dice.getrandbits(32), 0, 2013) + body


def mysql(dice: random.Random) -> bytes:
    """A little-endian length of three bytes, a number, a command; a length of 256 begins with a zero."""
    stream = b""
    for _ in range(dice.randrange(1, 12)):
        size = dice.choice([1, 256, 257, 512, 768, 1024, 65536 // 64, dice.randrange(1, 900)])
        body = (bytes([dice.choice([1, 3, 0x16, 0x17, 0])]) + SQL + dice.randbytes(1024))[:size]
        stream += struct.pack("<I", size)[:3] + bytes([dice.randrange(10)]) + body
    return stream


def amqp(dice: random.Random) -> bytes:
    """Frames of AMQP 0-9-1 with a table of headers."""
    stream = b"AMQP\0\0\x09\x01"
    for _ in range(dice.randrange(1, 8)):
        table = b"\x0btraceparentS" + struct.pack("!I", 55) + TRACEPARENT.encode()
        body = struct.pack("!HHQHI", 60, 0, 5, 0x2000, len(table)) + table
        for kind, payload in ((2, body), (3, noise(dice)), (8, b"")):
            stream += struct.pack("!BHI", kind, 1, len(payload)) + payload + b"\xce"
    return stream


def tls(dice: random.Random) -> bytes:
    """Records of encrypted bytes."""
    records = [noise(dice, 3000) for _ in range(dice.randrange(1, 6))]
    return b"".join(b"\x17\x03\x03" + struct.pack("!H", len(record)) + record for record in records)


def dns(dice: random.Random) -> bytes:
    """Questions over TCP: a length and a number of two bytes each, flags, counts."""
    stream = b""
    for _ in range(dice.randrange(1, 20)):
        name = b"\x04cart\x04shop\x03svc\x07cluster\x05local\0"[dice.choice([0, 5, 10]) :]
        body = struct.pack("!HHHHHH", dice.getrandbits(16), 0x100, 1, 0, 0, 0) + name + b"\0\x01\0\x01"
        stream += struct.pack("!H", len(body)) + body
    return stream


def smb(dice: random.Random) -> bytes:
    """A zero, a length of three bytes, a header of SMB 2."""
    bodies = [b"\xfeSMB" + bytes(60) + noise(dice, 600) for _ in range(dice.randrange(1, 6))]
    return b"".join(struct.pack("!I", len(body)) + body for body in bodies)


def length_prefixed(dice: random.Random) -> bytes:
    """Messages behind a length of four bytes, as home-made protocols have them."""
    bodies = [dice.choice([TRACEPARENT.encode(), noise(dice, 300), b"\0" * 9]) for _ in range(dice.randrange(1, 40))]
    return b"".join(struct.pack("!I", len(body)) + body for body in bodies)


def http_1_bodies(dice: random.Random) -> bytes:
    """A response of HTTP/1.1 in chunks, with JSON that holds contexts."""
    rows = b"".join(b'{"traceparent":"%b"},' % TRACEPARENT.encode() for _ in range(dice.randrange(1, 30)))
    chunks = [rows, noise(dice), rows]
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"


def random_bytes(dice: random.Random) -> bytes:
    return dice.randbytes(dice.randrange(1, 3000))


def sparse_bytes(dice: random.Random) -> bytes:
    """Mostly zeros and small numbers, as counters and pictures are: much looks like the head of a frame."""
    return bytes(
        dice.choice([0, 0, 0, 0, 1, 1, 4, 5, 0x16, 0xA5, 0x83, 0x40, dice.randrange(256)]) for _ in range(1500)
    )


MAKERS: tuple[Maker, ...] = (
    postgresql_client,
    postgresql_server,
    redis,
    kafka_client,
    kafka_server,
    mongodb,
    mysql,
    amqp,
    tls,
    dns,
    smb,
    length_prefixed,
    http_1_bodies,
    random_bytes,
    sparse_bytes,
)


def cut_anywhere(dice: random.Random, stream: bytes) -> list[bytes]:
    """Return the stream in segments of many sizes."""
    pieces = []
    while stream:
        size = dice.choice([1448, 1448, 1400, 536, dice.randrange(1, 1500), dice.randrange(1, 60)])
        pieces.append(stream[:size])
        stream = stream[size:]
    return pieces
