"""Programs with other people's tracing libraries, built from clients/ by build_clients.sh.

Edge: starts processes.
"""

import json
import subprocess
from functools import cache
from typing import Any

from tests.house.repository import ROOT
from tests.requirements import lack

BUILD = ROOT / "tests" / "peers" / "build_clients.sh"
TIMEOUT_S = 120.0
"""A JVM starts in a second on an idle machine."""


def send_trace(language: str, protocol: str, endpoint: str) -> list[dict[str, Any]]:
    """Let a client make a trace and send it, and return the spans that it says it has sent."""
    command = [*find_client(language), "send", protocol, endpoint]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr
    spans: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return spans


@cache
def find_client(language: str) -> list[str]:
    """Return the command of the client in go, java or js, built if need be; skips with the reason if that fails."""
    done = subprocess.run([BUILD, language], capture_output=True, text=True, check=False)
    if done.returncode:
        lack((done.stderr.strip().splitlines() or ["build_clients.sh failed"])[-1])
    directory = done.stdout.strip()
    return {
        "go": [f"{directory}/client"],
        "java": ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{directory}/lib/*", "peers.Main"],
        "js": ["node", f"{directory}/main.js"],
    }[language]
