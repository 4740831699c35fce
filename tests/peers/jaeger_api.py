"""Starts a real Jaeger, and reads traces back by the API that its page uses."""

import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any

from testbed.deadline import wait_until
from testbed.peers import choose_ports
from tests.peers.backend import ARRIVAL_TIMEOUT_S
from tests.peers.peers import HOST, Peers

_NOT_FOUND = 404


@dataclass(frozen=True)
class JaegerApi:
    """A Jaeger whose page would be at `http://place`."""

    place: str
    otlp: str
    """Where it takes OTLP/gRPC."""

    def get(self, path: str, **query: object) -> Any:
        """Return the answer to a GET; None where there is no such thing."""
        url = f"http://{self.place}{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=ARRIVAL_TIMEOUT_S) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            if error.code == _NOT_FOUND:
                return None
            raise

    def wait_for_trace(self, trace_id: bytes, spans: int) -> dict[str, Any]:
        """Wait until the trace has so many spans; return it as /api/traces has it: `spans` and `processes`."""
        found: list[dict[str, Any]] = []

        def is_whole() -> bool:
            answer = self.get(f"/api/traces/{trace_id.hex()}")
            found[:] = answer["data"] if answer else []
            return bool(found) and len(found[0]["spans"]) >= spans

        wait_until(is_whole, f"Jaeger has no trace {trace_id.hex()} of {spans} spans", ARRIVAL_TIMEOUT_S)
        return found[0]

    def get_otlp(self, trace_id: bytes) -> dict[str, Any]:
        """Return the trace as OTLP JSON, an ExportTraceServiceRequest."""
        result: dict[str, Any] = self.get(f"/api/v3/traces/{trace_id.hex()}")["result"]
        return result

    def list_services(self) -> set[str]:
        """Return the names of all services, of which both versions of the API have to tell the same."""
        old, new = self.get("/api/services")["data"], self.get("/api/v3/services")["services"]
        assert sorted(old) == sorted(new)
        return set(old)

    def list_edges(self, end_ns: int) -> dict[tuple[str, str], int]:
        """Return caller and callee of all traces of the hour before, with the number of calls."""
        links = self.get("/api/dependencies", endTs=end_ns // 10**6, lookback=3_600_000)["data"]
        return {(link["parent"], link["child"]): link["callCount"] for link in links}


def start_jaeger(peers: Peers, max_clock_skew_adjust: str = "0s", host: str = HOST) -> JaegerApi:
    """Start Jaeger with the file that is shipped, correcting clocks up to a time; `host`: where it listens."""
    otlp, page, query = (f"{host}:{port}" for port in choose_ports(3))
    places = {"OTLP_GRPC_ENDPOINT": otlp, "QUERY_HTTP_ENDPOINT": page, "QUERY_GRPC_ENDPOINT": query}
    peers.start_jaeger("jaeger.yaml", {**places, "MAX_CLOCK_SKEW_ADJUST": max_clock_skew_adjust})
    return JaegerApi(page, otlp)
