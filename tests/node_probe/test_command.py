"""The command line of node-probe: what is wrong with a configuration is one clear line, and the exit code says so."""

from pathlib import Path

import pytest

from node_probe.__main__ import main
from tests.house.repository import ROOT

GOOD = 'exporters: {otlp: {endpoint: "plugin:24317", tls: {insecure: true}}}\n'

FAULTS = [
    # configuration, what the line says behind the file's name
    ("", "exporters: missing"),
    ("exporters: {}", "exporters.otlp: missing"),
    ("exporters: {otlp: {}}", "exporters.otlp.endpoint: missing"),
    ("exporters: {otlp: {endpoint: plugin}}", "exporters.otlp.endpoint: 'plugin' is not host:port"),
    (GOOD + "point: {}", "point: unknown key (did you mean points?)"),
    (GOOD + "points: {pods: true}", "points.pods: unknown key (did you mean pod?)"),
    (GOOD + "points: {rate_limit: -1}", "points.rate_limit: expected int >= 0"),
    (GOOD + "points: {rate_limit: many}", "points.rate_limit: expected int, got str"),
    (GOOD + "limits: {cpu: -0.5}", "limits.cpu: expected float >= 0.0"),
    (GOOD + "limits: {cpu: .nan}", "limits.cpu: expected float >= 0.0"),
    (GOOD + "limits: {cpu: all}", "limits.cpu: expected float, got str"),
    (GOOD + "limits: {memory_mib: 99}", "limits.memory_mib: expected int >= 100"),
    (GOOD + "contexts: []", "contexts: names none, so nothing would be traced"),
    (GOOD + "contexts: [b4]", "contexts[0]: 'b4' is not one of traceparent, b3, b3multi, uber-trace-id"),
    (GOOD + "contexts: [sw8]", "contexts[0]: 'sw8' is not one of traceparent"),
    (
        GOOD + "telemetry: {logs: {level: loud}}",
        "telemetry.logs.level: 'loud' is not one of debug, info, warn, error",
    ),
    ("a: [", "is not YAML: "),
]


def write(directory: Path, text: str) -> Path:
    path = directory / "node-probe.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(("text", "line"), FAULTS, ids=[line for _, line in FAULTS])
def test_fault_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, line: str) -> None:
    """A fault names its key, and the exit code is 2."""
    path = write(tmp_path, text)
    assert main(["--config", str(path), "--check-config"]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(f"node-probe: {path}: {line}")
    assert output.err.count("\n") == 1


def test_all_faults_are_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each."""
    path = write(tmp_path, "exporters: {otlp: {endpoint: x}}\nnods: {}\npoints: {rate_limit: -1}")
    assert main(["--config", str(path), "--check-config"]) == 2
    assert capsys.readouterr().err.count("\n") == 3


def test_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that cannot be read is named."""
    assert main(["--config", str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml: cannot be read: No such file or directory" in capsys.readouterr().err


def test_configuration_is_needed_to_run(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a file nothing is run, whether the command is named or not."""
    for arguments in ([], ["run"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
        assert "required: --config" in capsys.readouterr().err


def test_run_may_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`run` is what happens anyway."""
    path = write(tmp_path, GOOD + "limits: {cpu: 1, memory_mib: 100}")
    assert main(["run", "--config", str(path), "--check-config"]) == 0
    assert capsys.readouterr().out == f"{path}: OK\n"


def test_shipped_configuration_is_good(capsys: pytest.CaptureFixture[str]) -> None:
    """The example that users start from passes its own check."""
    assert main(["--config", str(ROOT / "otel-config" / "node-probe.yaml"), "--check-config"]) == 0
    assert capsys.readouterr().out.endswith("node-probe.yaml: OK\n")
