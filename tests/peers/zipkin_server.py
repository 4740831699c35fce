"""A real Zipkin with its storage in memory, as a process on this machine, and what its API answers.

Edge: starts a process and speaks HTTP. The jar is what fetch_zipkin.sh has fetched.
"""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from testbed.deadline import wait_until
from testbed.errors import TestbedError
from testbed.process import run_in
from tests.house.repository import ROOT
from tests.requirements import lack

READY_TIMEOUT_S = 120.0
"""A JVM on a machine that does other things beside."""

TIMEOUT_S = 30.0
FETCH = ROOT / "tests" / "peers" / "fetch_zipkin.sh"
HEAP = "-Xmx256m"

ZipkinSpan = dict[str, Any]


class Zipkin:
    """A running Zipkin. Spans are its v2 JSON, read."""

    def __init__(self, url: str) -> None:
        self.url = url

    @property
    def spans_url(self) -> str:
        """Where spans are posted."""
        return f"{self.url}/api/v2/spans"

    def page_url(self, trace_id: str) -> str:
        """Return the address of a trace's page for people."""
        return f"{self.url}/zipkin/traces/{trace_id}"

    def post(self, spans: list[ZipkinSpan]) -> None:
        """Send spans without anything between."""
        post_spans(self.spans_url, spans)

    def read_trace(self, trace_id: str) -> list[ZipkinSpan]:
        """Return the spans of a trace, empty where it is unknown."""
        try:
            spans: list[ZipkinSpan] = self._get(f"/api/v2/trace/{trace_id}")
        except HTTPError as error:
            if error.code != 404:
                raise
            return []
        return spans

    def wait_for_trace(self, trace_id: str, is_enough: Callable[[list[ZipkinSpan]], bool]) -> list[ZipkinSpan]:
        """Wait until the function is satisfied with the trace's spans, and return them."""
        spans: list[ZipkinSpan] = []

        def has_enough() -> bool:
            spans[:] = self.read_trace(trace_id)
            return is_enough(spans)

        try:
            wait_until(has_enough, "did not come", TIMEOUT_S)
        except TestbedError as error:
            names = [span.get("name") for span in spans]
            raise AssertionError(f"not within {TIMEOUT_S} s; there are {names}") from error
        return spans

    def read_dependencies(self, end_ms: int, lookback_ms: int) -> list[dict[str, Any]]:
        """Return the links between services that Zipkin finds in the traces of a time, in a fixed order."""
        query = urlencode({"endTs": end_ms, "lookback": lookback_ms})
        links: list[dict[str, Any]] = self._get(f"/api/v2/dependencies?{query}")
        return sorted(links, key=lambda link: (link["parent"], link["child"]))

    def _get(self, path: str) -> Any:
        with urlopen(self.url + path, timeout=TIMEOUT_S) as answer:  # noqa: S310 - a URL of ours
            return json.load(answer)


def post_spans(url: str, spans: list[ZipkinSpan]) -> None:
    """Report spans as an application does."""
    request = Request(url, json.dumps(spans).encode(), {"Content-Type": "application/json"})  # noqa: S310 - a URL of ours
    with urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - as above
        assert 200 <= answer.status < 300


@contextmanager
def running_zipkin(work_dir: Path) -> Iterator[Zipkin]:
    """Hold a Zipkin that is ready, on a port of the system's choice; skips where it was not fetched."""
    command = ["java", HEAP, "-XX:TieredStopAtLevel=1", "-jar", str(find_zipkin())]
    listener = {"port": "0", "address": "127.0.0.1", "protocols[0]": "http"}
    command += [f"--armeria.ports[0].{key}={value}" for key, value in listener.items()]
    with run_in(None, command, log_path=work_dir / "zipkin.log") as server:
        url = server.wait_for_output(r"Serving HTTP at \S+ - (http://[0-9.:]+)/", READY_TIMEOUT_S)[1]
        yield Zipkin(url)
        server.check_alive()


def find_zipkin() -> Path:
    """Return the path of the jar, fetched if it was not; skips with the reason where that fails."""
    done = subprocess.run([FETCH], capture_output=True, text=True, check=False)
    if done.returncode:
        lack((done.stderr.strip().splitlines() or ["fetch_zipkin.sh failed"])[-1])
    return Path(done.stdout.strip())
