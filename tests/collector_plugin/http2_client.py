"""Clients that speak HTTP/2 by hand, so that they can do what gRPC's own never does: begin messages and leave them.

They keep to the peer's flow control (RFC 9113, section 5.2), since whoever does not is cut off at once.
"""

import contextlib
import math
import selectors
import socket
import struct
import time
from collections.abc import Sequence

from hopspan.otlp_export import EXPORT_METHOD

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4
INITIAL_WINDOW_ID = 4
DEFAULT_WINDOW = 65_535
MAX_FRAME = 16_384


def make_frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def make_header_block(**more: str) -> bytes:
    """Return the headers of an export as literals without indexing (RFC 7541, section 6.2.2)."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": EXPORT_METHOD,
        ":authority": "x",
        "content-type": "application/grpc",
        "te": "trailers",
        **more,
    }
    return b"".join(bytes([0]) + write_string(n) + write_string(v) for n, v in fields.items())


def write_string(text: str) -> bytes:
    """Return a string literal without Huffman code, with its length as an integer of 7 bits' prefix."""
    size, data = len(text), text.encode()
    if size < 127:
        return bytes([size]) + data
    size -= 127
    prefix = b"\x7f"
    while size >= 128:
        prefix += bytes([size % 128 + 128])
        size //= 128
    return prefix + bytes([size]) + data


class HalfMessages:
    """One connection whose streams each announce a message of `size_bytes` and send `sent_bytes` of it."""

    def __init__(self, port: int, streams: int, size_bytes: int, sent_bytes: int, packed: bytes = b"") -> None:
        """Connect and begin all streams; with `packed` all of that is sent, as one that is packed with gzip."""
        self._data = packed or bytes(sent_bytes)
        sent_bytes = len(self._data)
        self.connection = socket.create_connection(("127.0.0.1", port), 20)
        self.sent_bytes = 0
        self.ended: set[int] = set()
        """Streams that the peer ended."""
        self.is_closed = False
        self._in = b""
        self._window = self._initial = DEFAULT_WINDOW
        self._left = {1 + 2 * number: sent_bytes for number in range(streams)}
        self._windows = dict.fromkeys(self._left, 0)
        block = make_header_block(**({"grpc-encoding": "gzip"} if packed else {}))
        begin = b"".join(make_frame(HEADERS, END_HEADERS, stream, block) for stream in self._left)
        self._out = bytearray(PREFACE + make_frame(SETTINGS, 0, 0) + begin)
        prefix = bytes([bool(packed)]) + struct.pack(">I", size_bytes)
        for stream in self._left:
            self._out += make_frame(DATA, 0, stream, prefix)
            self._windows[stream] -= len(prefix)
            self._window -= len(prefix)
        self.connection.setblocking(False)  # noqa: FBT003 - the socket's own signature

    @property
    def is_done(self) -> bool:
        """Return whether there is nothing left to send."""
        return self.is_closed or not (self._left or self._out)

    def close(self) -> None:
        """Leave."""
        self.connection.close()

    def receive(self) -> None:
        """Take in what the peer sent."""
        try:
            while data := self.connection.recv(1 << 16):
                self._in += data
            self.is_closed = True
        except BlockingIOError:
            pass
        except OSError:
            self.is_closed = True
        while len(self._in) >= 9:
            size = int.from_bytes(self._in[:3])
            if len(self._in) < 9 + size:
                break
            kind, flags = self._in[3], self._in[4]
            stream = int.from_bytes(self._in[5:9]) & 0x7FFFFFFF
            self._read_frame(kind, flags, stream, self._in[9 : 9 + size])
            self._in = self._in[9 + size :]

    def send(self) -> None:
        """Send as much as the peer takes."""
        self._fill()
        if not self._out or self.is_closed:
            return
        try:
            sent = self.connection.send(self._out)
            self.sent_bytes += sent
            del self._out[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self.is_closed = True

    def _read_frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == SETTINGS and not flags & ACK:
            for position in range(0, len(payload), 6):
                key, value = struct.unpack_from(">HI", payload, position)
                if key == INITIAL_WINDOW_ID:
                    self._initial = value
            self._out += make_frame(SETTINGS, ACK, 0)
        elif kind == PING and not flags & ACK:
            self._out += make_frame(PING, ACK, 0, payload)
        elif kind == WINDOW_UPDATE:
            more = int.from_bytes(payload) & 0x7FFFFFFF
            if stream:
                self._windows[stream] += more
            else:
                self._window += more
        elif kind in (RST_STREAM, HEADERS):
            self.ended.add(stream)
            self._left.pop(stream, None)
        elif kind == GOAWAY:
            self.is_closed = True

    def _fill(self) -> None:
        for stream in list(self._left):
            while len(self._out) < 1 << 20:
                room = min(MAX_FRAME, self._window, self._initial + self._windows[stream], self._left[stream])
                if room <= 0:
                    break
                start = len(self._data) - self._left[stream]
                self._out += make_frame(DATA, 0, stream, self._data[start : start + room])
                self._window -= room
                self._windows[stream] -= room
                self._left[stream] -= room
            if not self._left[stream]:
                del self._left[stream]


def run_clients(clients: Sequence[HalfMessages], seconds: float, bytes_per_s: float = math.inf) -> None:
    """Let the clients send until all are done, or for so long, no faster together than that."""
    begin = time.monotonic()
    end = begin + seconds
    with contextlib.closing(selectors.DefaultSelector()) as selector:
        for client in clients:
            selector.register(client.connection, selectors.EVENT_READ | selectors.EVENT_WRITE, client)
        while selector.get_map() and time.monotonic() < end:
            for key, _ in selector.select(0.1):
                one: HalfMessages = key.data
                while sum(client.sent_bytes for client in clients) > bytes_per_s * (time.monotonic() - begin):
                    time.sleep(0.001)
                one.receive()
                one.send()
                if one.is_done:
                    selector.unregister(key.fileobj)
