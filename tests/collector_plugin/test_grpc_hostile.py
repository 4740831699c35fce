"""Floods of HTTP/2 frames against the gRPC port: whatever comes, other clients are served, and little is held.

What is sent is lawful in each frame, and not in its number, or begins what never ends. The limits are gRPC's own.
"""

import contextlib
import select
import socket
import struct
import threading
import zlib
from collections.abc import Iterator

import grpc
import pytest

from collector_plugin.admission import BUDGET_BYTES
from hopspan.otlp_export import EXPORT_METHOD
from tests.collector_plugin.http2_client import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    HalfMessages,
    make_frame,
    make_header_block,
    run_clients,
    write_string,
)
from tests.collector_plugin.plugin_bench import SPANS
from tests.collector_plugin.plugin_process import DEADLINE_S, PluginProcess, run_plugin

SLACK_BYTES = 32 << 20
MANY = 20_000
CANCEL = struct.pack(">I", 8)

BEGIN = PREFACE + make_frame(SETTINGS, 0, 0)
BLOCK = make_header_block()
LONG_FIELD = b"\0" + write_string("x") + write_string("y" * 16_000)

FLOODS = {
    "pings": make_frame(PING, 0, 0, bytes(8)) * MANY,
    "settings": make_frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65_535)) * MANY,
    "empty data": make_frame(HEADERS, END_HEADERS, 1, BLOCK) + make_frame(DATA, 0, 1) * MANY,
    "window updates": make_frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1)) * MANY,
    "streams that are reset": b"".join(
        make_frame(HEADERS, END_HEADERS, stream, BLOCK) + make_frame(RST_STREAM, 0, stream, CANCEL)
        for stream in range(1, MANY, 2)
    ),
    "streams that end at once": b"".join(
        make_frame(HEADERS, END_HEADERS | END_STREAM, stream, BLOCK) for stream in range(1, MANY, 2)
    ),
    # Few: gRPC holds a header block however long it grows (docs/configuration.md says so).
    "headers without end": make_frame(HEADERS, 0, 1, BLOCK) + make_frame(CONTINUATION, 0, 1, LONG_FIELD) * 200,
    "empty continuations": make_frame(HEADERS, 0, 1, BLOCK) + make_frame(CONTINUATION, 0, 1) * MANY,
    "unknown frames": make_frame(0xEE, 0, 0, bytes(1_000)) * MANY,
    "a frame of 16 MiB": b"\xff\xff\xff\0\0\0\0\0\1" + bytes(1 << 24),
    "priorities": make_frame(2, 0, 1, struct.pack(">IB", 3, 1)) * MANY,
}


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PluginProcess]:
    """A plugin for all tests of the module: what one client does to it would show in the next test."""
    with run_plugin(tmp_path_factory.mktemp("plugin")) as plugin:
        send(plugin, SPANS)
        yield plugin


def send(plugin: PluginProcess, data: bytes) -> bytes:
    """Send a request over a connection of its own."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(f"127.0.0.1:{plugin.ready['otlp_grpc_port']}", options=options) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(EXPORT_METHOD)
        return call(data, timeout=DEADLINE_S)


def drain(connection: socket.socket) -> None:
    """Read whatever comes, so that the receiver is not slowed down by a full buffer."""
    with contextlib.suppress(OSError):
        while connection.recv(1 << 16):
            pass


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_flood_of_frames_harms_nobody(plugin: PluginProcess, flood: bytes) -> None:
    """From four connections at once; another client is served meanwhile and afterwards."""
    plugin.forget_peak()
    before_bytes = plugin.read_peak_bytes()

    def attack() -> None:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", plugin.ready["otlp_grpc_port"]), DEADLINE_S) as connection,
        ):
            threading.Thread(target=drain, args=(connection,), daemon=True).start()
            connection.sendall(BEGIN + flood)

    attackers = [threading.Thread(target=attack) for _ in range(4)]
    for attacker in attackers:
        attacker.start()
    for _ in range(3):
        assert send(plugin, SPANS) == b""
    for attacker in attackers:
        attacker.join(2 * DEADLINE_S)
    assert send(plugin, SPANS) == b""
    assert plugin.read_peak_bytes() - before_bytes <= BUDGET_BYTES + SLACK_BYTES


def test_packed_bomb_is_refused(plugin: PluginProcess) -> None:
    """A gigabyte in a megabyte: gRPC stops at the largest message, and answers RESOURCE_EXHAUSTED."""
    plugin.forget_peak()
    before_bytes = plugin.read_peak_bytes()
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(1 << 10)) + packer.flush()
    bomb = HalfMessages(plugin.ready["otlp_grpc_port"], 1, len(packed), 0, packed)
    run_clients([bomb], DEADLINE_S)
    # Not select(): whole runs open more than the 1024 files that it can name.
    poll = select.poll()
    poll.register(bomb.connection, select.POLLIN)
    while not bomb.ended:
        poll.poll(1000 * DEADLINE_S)
        bomb.receive()
    bomb.close()
    assert send(plugin, SPANS) == b""
    assert plugin.read_peak_bytes() - before_bytes <= BUDGET_BYTES


def test_thousand_slow_clients_are_bounded(plugin: PluginProcess) -> None:
    """Each begins a message and sends nothing more: the oldest go, and another client is served."""
    plugin.forget_peak()
    before_bytes = plugin.read_peak_bytes()
    slow = [HalfMessages(plugin.ready["otlp_grpc_port"], 1, 1000, 10) for _ in range(1_000)]
    run_clients(slow, DEADLINE_S)
    assert send(plugin, SPANS) == b""
    for client in slow:
        client.close()
    assert plugin.read_peak_bytes() - before_bytes <= BUDGET_BYTES + SLACK_BYTES


@pytest.mark.parametrize(
    "data",
    [b"\x0a\x00" * (1 << 20), b"\x0a\x05hello", SPANS[:-1], b"\xff" * 1_000_000],
    ids=["empty spans", "no message", "cut off", "no protobuf"],
)
def test_wrong_messages_are_refused(plugin: PluginProcess, data: bytes) -> None:
    """With a code that no client repeats, or taken where they hold nothing; nobody else notices."""
    try:
        send(plugin, data)
    except grpc.RpcError as error:
        assert error.code() in (  # noqa: PT017 - what may be lawful besides
            grpc.StatusCode.INVALID_ARGUMENT,
            grpc.StatusCode.RESOURCE_EXHAUSTED,
        )
    assert send(plugin, SPANS) == b""
