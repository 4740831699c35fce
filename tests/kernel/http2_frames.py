"""Builds the frames of HTTP/2 (RFC 9113 section 6), whole and well-formed; what is not, a test cuts out of them."""

import struct

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)

END_STREAM = ACKNOWLEDGED = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITISED = 0x20

HEAD_BYTES = 9
"""Of a frame: length, type, flags, stream."""

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    """Return a frame of any kind."""
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def headers(
    block: bytes,
    stream: int = 1,
    *,
    padding: int | None = None,
    priority: bool = False,
    end_stream: bool = False,
    end_headers: bool = True,
) -> bytes:
    """Return a HEADERS frame; with `padding` it has the flag, even for no byte of it."""
    flags = (END_STREAM if end_stream else 0) | (END_HEADERS if end_headers else 0)
    payload = block
    if priority:
        flags |= PRIORITISED
        payload = struct.pack("!IB", 0x80000000, 15) + payload
    if padding is not None:
        flags |= PADDED
        payload = bytes([padding]) + payload + bytes(padding)
    return frame(HEADERS, payload, flags=flags, stream=stream)


def continuation(block: bytes, stream: int = 1, *, end_headers: bool = True) -> bytes:
    """Return what goes on with a header block."""
    return frame(CONTINUATION, block, flags=END_HEADERS if end_headers else 0, stream=stream)


def data(payload: bytes, stream: int = 1, *, end_stream: bool = False, padding: int | None = None) -> bytes:
    """Return a DATA frame."""
    flags = END_STREAM if end_stream else 0
    if padding is not None:
        flags, payload = flags | PADDED, bytes([padding]) + payload + bytes(padding)
    return frame(DATA, payload, flags=flags, stream=stream)


def grpc_message(payload: bytes) -> bytes:
    """Return a message as gRPC puts it into DATA: not compressed, length, bytes."""
    return struct.pack("!BI", 0, len(payload)) + payload


def settings(*pairs: tuple[int, int], acknowledges: bool = False) -> bytes:
    """Return a SETTINGS frame of identifiers and values."""
    payload = b"".join(struct.pack("!HI", *pair) for pair in pairs)
    return frame(SETTINGS, payload, flags=ACKNOWLEDGED if acknowledges else 0)


def window_update(stream: int = 0, increment: int = 65535) -> bytes:
    """Return what lets the peer send more."""
    return frame(WINDOW_UPDATE, struct.pack("!I", increment), stream=stream)


def ping(opaque: bytes = b"\x02\x04\x10\x10\x09\x0e\x07\x07", *, acknowledges: bool = False) -> bytes:
    """Return a PING frame; grpc-go measures its windows by these bytes."""
    return frame(PING, opaque, flags=ACKNOWLEDGED if acknowledges else 0)


def priority(stream: int = 1) -> bytes:
    """Return a PRIORITY frame, which browsers of some years ago sent."""
    return frame(PRIORITY, struct.pack("!IB", 0, 15), stream=stream)


def rst_stream(stream: int = 1, error: int = 8) -> bytes:
    """Return what ends a stream at once, by default as a cancelled call does."""
    return frame(RST_STREAM, struct.pack("!I", error), stream=stream)


def goaway(last_stream: int = 1, error: int = 0, debug: bytes = b"") -> bytes:
    """Return what ends a connection, behind the streams that are under way."""
    return frame(GOAWAY, struct.pack("!II", last_stream, error) + debug)


def push_promise(block: bytes, stream: int, promised: int) -> bytes:
    """Return a server's promise of a request that the client did not make."""
    return frame(PUSH_PROMISE, struct.pack("!I", promised) + block, flags=END_HEADERS, stream=stream)
