"""The command: its exit codes, what it prints, and how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from collector_plugin.__main__ import main
from hopspan.otlp_export import EXPORT_METHOD
from tests.collector_plugin.builders import list_spans
from tests.collector_plugin.plugin_bench import NEAR, SPANS
from tests.hopspan.grpc_peer import DEADLINE_S, GrpcPeer

CONFIG = """
receivers: {{otlp: {{protocols: {{grpc: {{endpoint: "localhost:0"}}}}}}}}
exporters: {{otlp: {{endpoint: "localhost:{port}", tls: {{insecure: true}}}}}}
telemetry: {{metrics: {{endpoint: "localhost:0"}}}}
"""


@pytest.fixture
def peer() -> Iterator[GrpcPeer]:
    """A peer that takes everything."""
    peer = GrpcPeer()
    yield peer
    peer.close()


def test_good_configuration_is_told_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--check-config` says OK and does nothing: the port of its exporter need not exist, nor its file be made."""
    path = tmp_path / "config.yaml"
    out = tmp_path / "out.jsonl"
    path.write_text(f"exporters: {{file: {{path: {out}}}, otlp: {{endpoint: 'localhost:1'}}}}\n", encoding="utf-8")
    assert main(["--config", str(path), "--check-config"]) == 0
    assert capsys.readouterr().out == f"{path}: OK\n"
    assert not out.exists()


@pytest.mark.parametrize("check", [["--check-config"], []])
def test_faults_are_told_one_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], check: list[str]) -> None:
    """With or without the check a faulty configuration ends with 2, each fault with program, file and key."""
    path = tmp_path / "config.yaml"
    path.write_text("recievers: {}\nmode: tap\n", encoding="utf-8")
    assert main(["--config", str(path), *check]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        f"collector-plugin: {path}: recievers: unknown key (did you mean receivers?)",
        f"collector-plugin: {path}: exporters: missing",
    ]


def test_absent_file_is_a_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A path that leads nowhere is told, not thrown."""
    path = tmp_path / "absent.yaml"
    assert main(["--config", str(path)]) == 2
    assert capsys.readouterr().err == f"collector-plugin: {path}: cannot be read: No such file or directory\n"


def start(path: Path, **environment: str) -> "subprocess.Popen[str]":
    """Start the command."""
    command = [sys.executable, "-W", "error", "-m", "collector_plugin", "--config", str(path)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | environment)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_in_order(tmp_path: Path, peer: GrpcPeer, number: signal.Signals) -> None:
    """It says when it is ready and where; at the end it delivers what waits, tells its counts, and exits with 0."""
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.format(port=peer.port), encoding="utf-8")
    with start(path) as process:
        assert process.stderr is not None
        ready = json.loads(process.stderr.readline())
        assert ready["message"] == "ready"
        with grpc.insecure_channel(f"localhost:{ready['otlp_grpc_port']}") as channel:
            call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(EXPORT_METHOD)
            for data in (SPANS, NEAR):
                call(data, timeout=DEADLINE_S)
        process.send_signal(number)
        lines = [json.loads(line) for line in process.stderr.read().splitlines()]
        assert process.wait(DEADLINE_S) == 0
    assert [line["message"] for line in lines] == ["stopped"]
    assert lines[0]["exporter_sent_spans{otlp,network}"] == 2
    assert peer.take() == SPANS
    assert [span.name for span in list_spans([peer.take()])] == ["host-forward", "vxlan-encap"]


def test_start_that_fails_exits_with_1(tmp_path: Path, peer: GrpcPeer) -> None:
    """What the configuration cannot know, such as a taken port, ends the start with a line that names it."""
    path = tmp_path / "config.yaml"
    text = CONFIG.format(port=1).replace(
        'grpc: {endpoint: "localhost:0"}', f'grpc: {{endpoint: "localhost:{peer.port}"}}'
    )
    path.write_text(text, encoding="utf-8")
    with start(path) as process:
        assert process.stderr is not None
        lines = process.stderr.read().splitlines()
        assert process.wait(DEADLINE_S) == 1
    key = "receivers.otlp.protocols.grpc.endpoint"
    reason = "Address already in use"
    assert lines == [f"collector-plugin: {key}: cannot listen on localhost:{peer.port}: {reason}"]


def test_service_manager_hears_of_it(tmp_path: Path, peer: GrpcPeer) -> None:
    """As a service of systemd it says that it is ready, where, that it lives, again and again, and that it stops."""
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.format(port=peer.port), encoding="utf-8")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(DEADLINE_S)
        with start(path, NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="100000") as process:
            assert process.stderr is not None
            port = json.loads(process.stderr.readline())["otlp_grpc_port"]
            told = [manager.recv(4096).decode() for _ in range(4)]
            assert told == [f"READY=1\nSTATUS=receives by otlp_grpc at localhost:{port}", *["WATCHDOG=1"] * 3]
            process.terminate()
            while (last := manager.recv(4096)) == b"WATCHDOG=1":
                pass
            assert last == b"STOPPING=1"
            assert process.wait(DEADLINE_S) == 0
