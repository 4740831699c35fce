"""Compares hops with decrypted packets: spans, and the packets that messages began in -> what is right and wrong.

Pure. A hop's span id is a hash of the very packet (seq, TSval) that it times: so there is no tolerance.
"""

import hashlib
import struct
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from testbed.topology import CART_SERVICE, FRONTEND
from tests.testbed.hop_rules import CART_HOPS, PARENTS
from tests.testbed.otlp_peer import Received
from tests.testbed.tls_truth import REQUEST, RESPONSE, Origin
from traceview.span import POINTS


@dataclass
class Outcome:
    """What came of a run."""

    calls: int = 0
    """Requests that were answered on the wire and have a CLIENT span, which the sampled ones have."""
    rate: float = 0.0
    """Requests a second on the wire, sampled or not."""
    hops: int = 0
    wrong: list[str] = field(default_factory=list)
    waited: int = 0
    """Of them, those whose span began before the last request of their connection: nothing tells which is whose."""
    covered: int = 0
    """CLIENT spans that have all hops of both directions."""
    directions: Counter[str] = field(default_factory=Counter)
    probe: dict[str, int] = field(default_factory=dict)
    """What the client's agent counted."""
    far_probe: dict[str, int] = field(default_factory=dict)
    plugin: dict[str, int] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)
    """Of calls that have not all hops: client port, which of the connection's requests it was, and what it has."""

    @property
    def coverage(self) -> float:
        """Return the share of the calls that have all hops."""
        return self.covered / max(1, self.calls)

    @property
    def clear_coverage(self) -> float:
        """Return the same of those that did not wait for another one's connection."""
        return self.covered / max(1, self.calls - self.waited)

    def __str__(self) -> str:
        text = f"{self.calls} calls at {self.rate:.0f}/s, {self.waited} waited, {self.hops} hops, "
        text += f"{len(self.wrong)} wrong, coverage {100 * self.coverage:.2f} %, with {dict(self.directions)}; "
        text += f"missed {self.missed[:40]}"
        claims = {name: number for name, number in self.probe.items() if "claim" in name or "flow" in name}
        far = {name: number for name, number in self.far_probe.items() if "claim" in name or "flow" in name}
        return f"{text}\n  near: {claims}\n  far: {far}\n  plugin: {self.plugin}"


def compare(spans: list[Received], origins: list[Origin], outcome: Outcome) -> None:
    """Fill in what was right, wrong and missed."""
    by_span: dict[bytes, dict[str, list[Origin]]] = defaultdict(lambda: {REQUEST: [], RESPONSE: []})
    for origin in origins:
        by_span[origin.span_id][origin.direction].append(origin)
    parents = {
        span.span.span_id: span
        for span in spans
        if span.span.kind == span.span.SPAN_KIND_CLIENT and PARENTS.get(span.span.name) == CART_SERVICE
    }
    answered = {
        span_id: both[REQUEST][0]
        for span_id, both in by_span.items()
        if span_id in parents and all(both.values()) and both[RESPONSE][0].epoch_ns < parents[span_id].ends[1]
    }
    hops: dict[bytes, list[Received]] = defaultdict(list)
    for span in spans:
        if span.is_network:
            hops[span.span.parent_span_id].append(span)
            outcome.hops += 1
            if not _is_right(span, by_span.get(span.span.parent_span_id, {})):
                outcome.wrong.append(f"{span.span.name} {span.attributes} of {span.span.parent_span_id.hex()}")
    requests = [origin for origin in origins if origin.direction == REQUEST]
    outcome.calls = len(answered)
    outcome.waited = _count_waited(requests, answered, parents)
    _count_covered(requests, answered, hops, outcome)
    begun = [parents[span_id].ends[0] for span_id in answered]
    if len(begun) > 1:
        outcome.rate = len(requests) / (max(begun) - min(begun)) * 1e9


def _count_covered(
    requests: Sequence[Origin],
    answered: Mapping[bytes, Origin],
    hops: Mapping[bytes, list[Received]],
    outcome: Outcome,
) -> None:
    wanted = Counter((hop.direction, hop.start, hop.stop) for hop in CART_HOPS)
    number: Counter[int] = Counter()
    for request in requests:
        number[request.client_port] += 1
        if answered.get(request.span_id) != request:
            continue
        found = Counter(
            tuple(hop.attributes[f"hopspan.{name}"] for name in ("direction", "from", "to"))
            for hop in hops.get(request.span_id, [])
        )
        directions = "+".join(sorted({str(key[0]) for key in found})) or "nothing"
        outcome.directions[directions] += 1
        if wanted <= found:  # more where a packet was sent again
            outcome.covered += 1
        else:
            outcome.missed.append(f"{request.client_port} #{number[request.client_port]}: {directions}")


def _count_waited(
    requests: Sequence[Origin], answered: Mapping[bytes, Origin], parents: Mapping[bytes, Received]
) -> int:
    """Return how many of the answered have another request of their connection before them, inside their span."""
    last: dict[int, Origin] = {}
    waited = 0
    for request in requests:
        before = last.get(request.client_port)
        if before is not None and answered.get(request.span_id) == request:
            waited += before.epoch_ns >= parents[request.span_id].ends[0]
        last[request.client_port] = request
    return waited


def _is_right(hop: Received, origins: Mapping[str, list[Origin]]) -> bool:
    attributes = hop.attributes
    direction = attributes["hopspan.direction"]
    assert isinstance(direction, str)
    ends = bytes(POINTS.index(str(attributes[f"hopspan.{name}"])) + 1 for name in ("from", "to"))
    return any(
        origin.trace_id == hop.span.trace_id and _derive_id(origin, ends) == hop.span.span_id
        for origin in origins.get(direction, [])
    )


def _derive_id(origin: Origin, ends: bytes) -> bytes:
    """Return the id of a hop of a packet, as the design has it."""
    address = bytes(10) + b"\xff\xff" + FRONTEND.address.packed
    number = (REQUEST, RESPONSE).index(origin.direction)
    packet = struct.pack("<BIIH16sI", number, origin.seq, origin.tsval, origin.client_port, address, 0)
    message = b"hop" + origin.trace_id + origin.span_id + packet + ends
    return hashlib.blake2b(message, digest_size=8).digest()
