"""A connection of HTTP/2 through the programs: what each side says, segment by segment, and what came of it.

The contexts are read here a second time, by an HPACK library's Huffman decoder, from the bytes of the records; what
the agent reads of them has to be the same.
"""

import itertools
import re
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from node_probe.context import ContextError
from node_probe.kernel_record import (
    CONTEXT_FIELDS,
    CONTEXT_OFFSET,
    RECORD_BYTES,
    RECORD_FIELDS,
    decode_kernel_record,
)
from node_probe.transit import ContextFormat, Direction, Point
from tests.kernel.bpf_harness import Harness
from tests.kernel.http2_blocks import GO, Encoder, Field, Style, read_huffman, traced
from tests.kernel.http2_frames import PREFACE, headers, settings
from tests.kernel.packets import ACK, CLIENT, SEQ, SERVER, SERVER_PORT, TIMESTAMPS, internet, tcp, vxlan

HUFFMAN = 1
"""The coding of a text that is as HPACK coded it (enum context_coding in bpf/record.h)."""

STREAMS_MAX, FRAMES_MAX, BLOCK_MAX = 32, 64, 512
"""What is looked at in a segment, and in a block (bytes): as in bpf/limits.h, which test_layout.py compares."""


class Found(NamedTuple):
    """What one record says."""

    direction: Direction
    stream: int
    seq: int
    value: str
    """Of the context, in plain, as the HPACK library reads it."""

    ids: str
    """The same as the agent reads it, in the form of a traceparent; empty where it drops it."""

    points: tuple[Point, ...]
    tsval: int
    coding: int
    format: ContextFormat
    flags: int
    client: bytes
    """Port and address; so are the next three as they are in the record."""

    server: bytes
    outer: bytes


def read_found(data: bytes) -> Found:
    """Take a record apart."""
    assert len(data) == RECORD_BYTES
    record = dict(_unpack(RECORD_FIELDS, data))
    context = dict(_unpack(CONTEXT_FIELDS, data[CONTEXT_OFFSET:]))
    assert record["context_count"] == 1
    text_format = ContextFormat(context["format"])
    text = read_text(text_format, context["coding"], context["text"][: context["length"]])
    if text_format == ContextFormat.TRACEPARENT:
        assert read_ids(data) == (text[:55].decode() if SAMPLED.match(text) else "")
    return Found(
        direction=Direction(record["direction"]),
        stream=context["stream_id"],
        seq=record["seq"],
        value=text.decode("latin-1"),
        ids=read_ids(data),
        points=tuple(point for point in Point if record["seen"] >> (point - 1) & 1),
        tsval=record["tsval"],
        coding=context["coding"],
        format=text_format,
        flags=record["flags"],
        client=struct.pack("!H", record["client_port"]) + record["client_address"],
        server=struct.pack("!H", record["server_port"]) + record["server_address"],
        outer=record["outer_source"] + record["outer_destination"],
    )


SAMPLED = re.compile(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f][13579bdf](?![0-9a-f])")


def read_ids(data: bytes) -> str:
    """Return the context that the agent reads of a record, in the form of a traceparent, or nothing."""
    try:
        transit = decode_kernel_record(data)
    except ContextError:
        return ""
    if transit is None:
        return ""
    context = transit.context
    return f"00-{context.trace_id.hex()}-{context.parent_id.hex()}-{context.flags:02x}"


def read_text(text_format: ContextFormat, coding: int, text: bytes) -> bytes:
    """Return the text in plain; of B3's several lines as the record has those of HTTP/1."""
    if coding != HUFFMAN:
        return text
    if text_format != ContextFormat.B3MULTI:
        return read_huffman(text)
    ids = text[4:]
    assert len(ids) == text[0] + text[1]
    return read_huffman(ids[: text[0]]).ljust(32, b"\0") + read_huffman(ids[text[0] :]) + text[2:4]


def _unpack(fields: tuple[tuple[str, str], ...], data: bytes) -> Iterator[tuple[str, Any]]:
    layout = "=" + "".join(code for _, code in fields)
    values = iter(struct.unpack_from(layout, data))
    for name, code in fields:
        count = int(code[:-1] or 1) if code[-1] != "s" else 1
        yield name, next(values) if count == 1 else tuple(next(values) for _ in range(count))


def read_all(bpf: Harness) -> list[Found]:
    """Return what last points, or a sweep, handed out since the last call."""
    return [read_found(data) for data in bpf.read_ring()]


def read_values(bpf: Harness) -> list[tuple[int, str]]:
    """Return stream and context of each record since the last call."""
    return [(found.stream, found.value) for found in read_all(bpf)]


class Connection:
    """Both sides of one connection, each with its encoder and the number of its next byte."""

    def __init__(
        self,
        bpf: Harness,
        port: int,
        style: Style = GO,
        *,
        client: str = CLIENT,
        server: str = SERVER,
        seq: int = SEQ,
    ) -> None:
        self.bpf, self.port = bpf, port
        self.client, self.server = client, server
        self.client_seq, self.server_seq = seq % 2**32, ACK
        self.encoder, self.server_encoder = Encoder(style), Encoder(style)

    def open(self) -> "Connection":
        """Let both sides begin, so that the places of their frames are known."""
        self.ask(PREFACE + settings())
        self.answer(settings())
        return self

    def request_frame(self, payload: bytes, seq: int, options: bytes = TIMESTAMPS) -> bytes:
        """Return a packet from the client."""
        segment = tcp(payload, (self.port, SERVER_PORT), seq, self.server_seq, options)
        return internet(segment, 6, self.client, self.server)

    def response_frame(self, payload: bytes, seq: int, options: bytes = TIMESTAMPS) -> bytes:
        """Return a packet from the server."""
        segment = tcp(payload, (SERVER_PORT, self.port), seq, self.client_seq, options)
        return internet(segment, 6, self.server, self.client)

    def ask(self, payload: bytes, *programs: str, options: bytes = TIMESTAMPS) -> int:
        """Let the client say a segment, past a first and last point or those named; return its number."""
        seq = self.client_seq
        frame = self.request_frame(payload, seq, options)
        for program in programs or ("pod_egress", "pod_ingress"):
            self.bpf.watch(program, at_point(program, frame))
        self.client_seq = (seq + len(payload)) % 2**32
        return seq

    def answer(self, payload: bytes, *programs: str, options: bytes = TIMESTAMPS) -> int:
        """Let the server say a segment, past a first and last point or those named; return its number."""
        seq = self.server_seq
        frame = self.response_frame(payload, seq, options)
        for program in programs or ("nic_ingress", "pod_ingress"):
            self.bpf.watch(program, at_point(program, frame))
        self.server_seq = (seq + len(payload)) % 2**32
        return seq

    def lose(self, payload: bytes) -> None:
        """Let the client say a segment that no point sees."""
        self.client_seq = (self.client_seq + len(payload)) % 2**32

    def call(self, stream: int = 1, value: str | None = None, *, end_stream: bool = False) -> bytes:
        """Return the HEADERS of a request, with a context if there is a value."""
        fields = traced() if value is None else traced(value=value)
        return headers(self.encoder.encode(fields), stream, end_stream=end_stream)


def reply(connection: Connection, fields: list[Field], stream: int = 1, *, end_stream: bool = False) -> bytes:
    """Return a HEADERS frame of the server."""
    return headers(connection.server_encoder.encode(fields), stream, end_stream=end_stream)


def asked(bpf: Harness, port: int, *streams: int) -> tuple[Connection, dict[int, str]]:
    """Return a connection with traced requests on the streams under way, and their contexts."""
    connection = Connection(bpf, port)
    values = {stream: make_value() for stream in streams}
    for stream, value in values.items():
        connection.ask(connection.call(stream, value, end_stream=True))
    assert read_values(bpf) == list(values.items())
    bpf.start_afresh()
    return connection, values


def at_point(program: str, frame: bytes) -> bytes:
    """Return a packet as a point meets it: at the underlay device within the tunnel."""
    return vxlan(frame) if program.startswith("nic_") else frame


NUMBERS = itertools.count(1)
TRACE_STEP, PARENT_STEP = 0x9E3779B97F4A7C15F39CC0605CEDC835, 0xD1B54A32D192ED03
"""Odd numbers, which make ids that look like random ones and do not repeat."""


def make_value(flags: str = "01") -> str:
    """Return a traceparent that no other test has."""
    number = next(NUMBERS)
    trace_id, parent_id = number * TRACE_STEP % 2**128, number * PARENT_STEP % 2**64
    return f"00-{trace_id:032x}-{parent_id:016x}-{flags}"


def count_reasons(bpf: Harness) -> dict[str, int]:
    """Return what was counted, but for how sure we were of the place of a frame, and what a test itself swept."""
    left_out = {"http2_uncertain", "transits_swept", "transits_emitted"}
    return {reason: count for reason, count in bpf.counts().items() if reason not in left_out}
