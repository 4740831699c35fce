"""What the plugin holds while gRPC clients begin large messages and leave them: measured in a process of its own."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from collector_plugin.admission import BUDGET_BYTES
from hopspan.otlp_export import EXPORT_METHOD
from tests.collector_plugin.http2_client import HalfMessages, run_clients
from tests.collector_plugin.plugin_bench import SPANS
from tests.collector_plugin.plugin_process import DEADLINE_S, PluginProcess, run_plugin

SLACK_BYTES = 32 << 20
"""What may be held beyond the budget."""

MESSAGE_BYTES = 4 << 20
MOST_BYTES = 4_000_000

BYTES_PER_S = 125e6
"""A gigabit a second. What comes before anybody can look is bounded by the speed of attackers alone."""


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[PluginProcess]:
    """A plugin that has served one request, so that all code is loaded."""
    with run_plugin(tmp_path) as plugin, open_client(plugin) as send:
        send(SPANS, timeout=DEADLINE_S)
        plugin.forget_peak()
        yield plugin


@contextlib.contextmanager
def open_client(plugin: PluginProcess) -> Iterator["grpc.UnaryUnaryMultiCallable[bytes, bytes]"]:
    """Hold a client's channel; yield what sends requests over it."""
    with grpc.insecure_channel(f"127.0.0.1:{plugin.ready['otlp_grpc_port']}") as channel:
        yield channel.unary_unary(EXPORT_METHOD)


@pytest.mark.parametrize(("connections", "streams"), [(200, 1), (50, 4), (2, 100)])
def test_messages_that_do_not_end_stay_within_the_budget(
    plugin: PluginProcess, connections: int, streams: int
) -> None:
    """Two hundred messages of 4 MiB, each left shortly before its end: 800 MB, and another client is served."""
    port = plugin.ready["otlp_grpc_port"]
    before_bytes = plugin.read_peak_bytes()
    attackers = [HalfMessages(port, streams, MESSAGE_BYTES, MOST_BYTES) for _ in range(connections)]
    attack = threading.Thread(target=run_clients, args=(attackers, DEADLINE_S, BYTES_PER_S))
    attack.start()
    with open_client(plugin) as send:
        answers = 0
        while attack.is_alive() or answers < 10:
            try:
                send(SPANS, timeout=DEADLINE_S)
                answers += 1
            except grpc.RpcError as error:
                # What OTLP's clients repeat.
                assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)  # noqa: PT017
    assert plugin.read_peak_bytes() - before_bytes <= BUDGET_BYTES + SLACK_BYTES
    for attacker in attackers:
        attacker.close()
    counts = plugin.stop()
    assert counts["receiver_ended{otlp_grpc,memory_limit}"] > 0
    assert counts["receiver_accepted_spans"] == 2 * (answers + 1)
