"""What is measured of HTTP/2: frames (RFC 9113), and calls of gRPC as Go and as gRPC's C core send them.

Pure: values only. The header blocks are those of the `hpack` package, told to code as these senders do.
"""

import struct

from hpack import Encoder

from tests.kernel.packets import PARENT_ID, TRACE_ID

DATA, HEADERS, PING, WINDOW_UPDATE = 0, 1, 6, 8
"""Types of frames (section 6)."""

END_STREAM, END_HEADERS = 1, 4

FRAME_HEAD_BYTES = 9
STREAM_AT_BYTE = 5
"""Where a frame has the number of its stream."""

_METHOD = "/hipstershop.ProductCatalogService/GetProduct"
_MESSAGE = bytes(5) + b"\x0a\x0aOLJCESPC7Z"
"""A message of gRPC: five bytes of head, and an id of ten characters."""


def frame(kind: int, stream_id: int, body: bytes, flags: int = 0) -> bytes:
    """Return a whole frame."""
    return frame_head(kind, stream_id, len(body), flags) + body


def frame_head(kind: int, stream_id: int, length: int, flags: int = 0) -> bytes:
    """Return the head of a frame whose body follows."""
    return struct.pack("!I", length)[1:] + struct.pack("!BBI", kind, flags, stream_id)


def stream_request(trace_id: str, stream_id: int) -> bytes:
    """Return a call of gRPC as Go sends it, the first of its connection: one HEADERS frame, with Huffman's code."""
    fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/hipstershop.CartService/GetCart"),
        (":authority", "cart:7070"),
        ("content-type", "application/grpc"),
        ("user-agent", "grpc-go/1.76.0"),
        ("te", "trailers"),
        ("traceparent", f"00-{trace_id}-{PARENT_ID}-01"),
    ]
    return frame(HEADERS, stream_id, Encoder().encode(fields), END_HEADERS)


def make_parent_id(number: int) -> str:
    """Return a parent id that no other number has: in Huffman's code they differ in length, too."""
    return f"{(number + 1) * 0x9E3779B97F4A7C15 % 2**64:016x}"


def coded_block(parent_id: str, flags: str) -> bytes:
    """Return a header block of Go's on a connection in use: 91 bytes or so, names known, values in Huffman's code.

    The method is called for the first time, so its path is written out, as timeout and context are.
    """
    encoder = Encoder()
    encoder.encode(_coded_fields("/grpc.health.v1.Health/Check", "999852u", "00f067aa0ba902b7", "01"))
    return encoder.encode(_coded_fields(_METHOD, "4998127u", parent_id, flags))


def plain_block(parent_id: str, flags: str) -> bytes:
    """Return the first header block of a connection as the C core sends it: 290 bytes, all written out."""
    # With whether they are not to be kept in the table.
    fields: list[tuple[str, str, bool]] = [
        (":scheme", "http", False),
        (":method", "POST", False),
        (":authority", "productcatalog:3550", False),
        (":path", _METHOD, False),
        ("te", "trailers", False),
        ("content-type", "application/grpc", False),
        ("user-agent", "grpc-python/1.76.0 grpc-c/51.0.0 (linux; chttp2)", False),
        ("grpc-accept-encoding", "identity, deflate, gzip", False),
        ("grpc-timeout", "4999812u", True),
        ("traceparent", f"00-{TRACE_ID}-{parent_id}-{flags}", True),
    ]
    return Encoder().encode(fields, huffman=False)


def call(block: bytes, stream_id: int) -> bytes:
    """Return a unary call as one segment: header block and message."""
    return frame(HEADERS, stream_id, block, END_HEADERS) + frame(DATA, stream_id, _MESSAGE, END_STREAM)


def _coded_fields(path: str, timeout: str, parent_id: str, flags: str) -> list[tuple[str, str]]:
    return [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "productcatalog:3550"),
        ("content-type", "application/grpc"),
        ("user-agent", "grpc-go/1.76.0"),
        ("te", "trailers"),
        ("grpc-timeout", timeout),
        ("traceparent", f"00-{TRACE_ID}-{parent_id}-{flags}"),
    ]
