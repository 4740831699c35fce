"""What both sidecars of each request logged: by which connection it went, and between which times it was there.

Reads the access logs of testbed/mutual_tls.py, and nothing of the product.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.deadline import wait_until
from testbed.mutual_tls import MutualTls

TIMEOUT_S = 30.0
_NS_PER_US = 1000


@dataclass(frozen=True)
class Truth:
    """One request between two sidecars. Times are epoch ns, as the called sidecar's process saw them."""

    span_id: bytes
    """Of the CLIENT span, which the calling sidecar has sent in the context."""
    client: str
    """`address:port` of the connection, as the called sidecar saw it."""
    local: str
    """The same as the calling sidecar saw it."""
    begun_ns: int
    """When the called sidecar had read the request's first bytes."""
    answered_ns: int
    """When it sent the first bytes of the response."""
    ended_ns: int
    """When it had sent the last."""


def read_truths(tls: Mapping[str, MutualTls], count: int) -> list[Truth]:
    """Return the truth of each of `count` requests between sidecars, waiting until both have logged it."""
    found: list[Truth] = []

    def are_there() -> bool:
        found[:] = _match(tls)
        return len(found) >= count

    wait_until(are_there, f"sidecars did not log {count} requests", TIMEOUT_S)
    return found


def _match(tls: Mapping[str, MutualTls]) -> list[Truth]:
    inbound = {line["request_id"]: line for one in tls.values() for line in _read_lines(one.log_path("INBOUND"))}
    truths = []
    for one in tls.values():
        for sent in _read_lines(one.log_path("OUTBOUND")):
            taken = inbound.get(sent["request_id"])
            if taken is not None:
                truths.append(_read_truth(sent, taken))
    return truths


def _read_truth(sent: Mapping[str, Any], taken: Mapping[str, Any]) -> Truth:
    seconds, _, micros = str(taken["start"]).partition(".")
    begun_ns = (int(seconds) * 10**6 + int(micros)) * _NS_PER_US
    return Truth(
        span_id=bytes.fromhex(sent["context"].split("-")[2]),
        client=taken["client"],
        local=sent["local"],
        begun_ns=begun_ns,
        answered_ns=begun_ns + int(taken["first_answer_us"]) * _NS_PER_US,
        ended_ns=begun_ns + int(taken["end_us"]) * _NS_PER_US,
    )


def _read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines that are whole."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.split("\n")[:-1]]
