"""Make up the trace that the tests draw: a checkout through a mesh of sidecars, with the hops of two exchanges.

`frontend` and `catalog` run on node-1, `cart` on node-2. Run as a program it prints the lines of N traces:
`python tests/traceview/make_checkout.py 20 > traces.jsonl`.
"""

import hashlib
import json
import random
import sys
from typing import Any

EPOCH_NS = 1_790_000_000_000_000_000
SERVER, CLIENT = 2, 3
US = 1000

NODES = {"frontend": "node-1", "catalog": "node-1", "cart": "node-2"}
ADDRESSES = {"frontend": "10.244.1.11", "catalog": "10.244.1.12", "cart": "10.244.2.21"}
OVERLAY_POINTS = (
    ("pod-egress", "eth0"),
    ("veth-ingress", "veth-{from}"),
    ("overlay-egress", "vxlan0"),
    ("nic-egress", "nic0"),
    ("nic-ingress", "nic0"),
    ("overlay-ingress", "vxlan0"),
    ("veth-egress", "veth-{to}"),
    ("pod-ingress", "eth0"),
)
OVERLAY_HOPS = ("veth-hop", "host-forward", "vxlan-encap", "underlay", "vxlan-decap", "host-forward", "veth-hop")
OVERLAY_NS = (5_212, 9_034, 11_480, 239_412, 12_077, 8_961, 6_305)
SAME_NODE_POINTS = (OVERLAY_POINTS[0], OVERLAY_POINTS[1], OVERLAY_POINTS[6], OVERLAY_POINTS[7])
SAME_NODE_HOPS = ("veth-hop", "host-forward", "veth-hop")
SAME_NODE_NS = (4_870, 14_266, 5_931)


class Story:
    """Collects the spans of one trace; ids are hashes of what they name, so every run has the same."""

    def __init__(self, number: int) -> None:
        self.trace_id = hashlib.blake2b(b"checkout %d" % number, digest_size=16).hexdigest()
        self.start_ns = EPOCH_NS + number * 1_000_000_000
        self.random = random.Random(number)  # noqa: S311 - a made-up trace needs no secrets
        self.groups: dict[tuple[str, str], list[dict[str, Any]]] = {}

    def jitter(self, value: int) -> int:
        return int(value * self.random.uniform(0.9, 1.3))

    def add(self, place: tuple[str, str], parent: str, name: str, kind: int, times: tuple[int, int]) -> str:
        start_ns, duration_ns = times
        key = f"{self.trace_id} {parent} {name} {start_ns}".encode()
        span = {
            "traceId": self.trace_id,
            "spanId": hashlib.blake2b(key, digest_size=8).hexdigest(),
            "parentSpanId": parent,
            "name": name,
            "kind": kind,
            "startTimeUnixNano": str(self.start_ns + start_ns),
            "endTimeUnixNano": str(self.start_ns + start_ns + duration_ns),
        }
        self.groups.setdefault(place, []).append(span)
        return str(span["spanId"])

    def lines(self) -> list[str]:
        return [json.dumps({"resourceSpans": [wrap_spans(*key, spans)]}) for key, spans in self.groups.items()]


def wrap_spans(service: str, scope: str, spans: list[dict[str, Any]]) -> dict[str, Any]:
    node = NODES[service]
    resource = {"service.name": service, "host.name": node, "service.instance.id": f"{service}-7d9f"}
    scope_spans = {"scope": {"name": scope, "version": "0.1.0"}, "spans": spans}
    return {"resource": {"attributes": write_attributes(resource)}, "scopeSpans": [scope_spans]}


def write_attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for key, value in values.items()
    ]


def add_hops(story: Story, parent: str, ends: tuple[str, str], direction: str, start_ns: int) -> int:
    """Add the hops from one service to the other and return when the last one ends."""
    overlay = NODES[ends[0]] != NODES[ends[1]]
    points = OVERLAY_POINTS if overlay else SAME_NODE_POINTS
    durations = [story.jitter(value) for value in (OVERLAY_NS if overlay else SAME_NODE_NS)]
    for at, name in enumerate(OVERLAY_HOPS if overlay else SAME_NODE_HOPS):
        duration_ns = durations[at] // (1 if direction == "request" else 2 if name == "underlay" else 1)
        shown_ns = duration_ns - US if duration_ns >= 3 * US else max(duration_ns, US)
        story.add(("frontend", "hopspan"), parent, name, 1, (start_ns, shown_ns))
        attributes = describe_hop(ends, direction, points[at : at + 2], duration_ns)
        if overlay and at >= 3:
            clock = {"hopspan.clock.offset_ns": -81_250, "hopspan.clock.uncertainty_ns": 12_300}
            attributes |= {"hopspan.clock.source": "measured"} | clock
        if name in ("vxlan-encap", "underlay", "vxlan-decap"):
            outer = ("192.0.2.1", "192.0.2.2")[:: 1 if direction == "request" else -1]
            attributes |= {"tunnel.type": "vxlan", "tunnel.id": "1"}
            attributes |= {"tunnel.source.address": outer[0], "tunnel.destination.address": outer[1]}
        story.groups["frontend", "hopspan"][-1]["attributes"] = write_attributes(attributes)
        start_ns += duration_ns
    return start_ns


def describe_hop(
    ends: tuple[str, str], direction: str, points: tuple[tuple[str, str], ...], duration_ns: int
) -> dict[str, Any]:
    (start, start_device), (end, end_device) = points
    device = start_device if (start, end) == ("nic-egress", "nic-ingress") else end_device
    near = start in dict(SAME_NODE_POINTS[:2]) or end in ("overlay-egress", "nic-egress") or start == "nic-egress"
    ports = (49_152, 8080) if direction == "request" else (8080, 49_152)
    return {
        "hopspan.direction": direction,
        "hopspan.from": start,
        "hopspan.to": end,
        "hopspan.duration_ns": duration_ns,
        "hopspan.node": NODES[ends[0] if near else ends[1]],
        "network.interface.name": device.format_map({"from": ends[0], "to": ends[1]}),
        "source.address": ADDRESSES[ends[0]],
        "source.port": ports[0],
        "destination.address": ADDRESSES[ends[1]],
        "destination.port": ports[1],
        "hopspan.clock.source": "same",
    }


def add_call(story: Story, parent: str, callee: str, start_ns: int, work_ns: int) -> int:
    """Add a call of `frontend` through both sidecars and return when the application has its answer."""
    arrived_ns = add_hops(story, "", ("frontend", callee), "request", start_ns + 180 * US) + 40 * US
    answered_ns = arrived_ns + work_ns + 160 * US
    back_ns = add_hops(story, "", (callee, "frontend"), "response", answered_ns + 30 * US)
    hops = story.groups["frontend", "hopspan"]
    end_ns = back_ns + 60 * US
    client = story.add(("frontend", "app"), parent, f"GET {callee}", CLIENT, (start_ns, end_ns - start_ns + 90 * US))
    egress_ns = start_ns + 70 * US
    egress = story.add(("frontend", ""), client, "egress", SERVER, (egress_ns, end_ns + 30 * US - egress_ns))
    router_ns = start_ns + 130 * US
    router = story.add(("frontend", ""), egress, f"router {callee} egress", CLIENT, (router_ns, end_ns - router_ns))
    for hop in hops:
        if not hop["parentSpanId"]:
            hop["parentSpanId"] = router
            name = f"{router} {hop['name']} {hop['startTimeUnixNano']}".encode()
            hop["spanId"] = hashlib.blake2b(name, digest_size=8).hexdigest()
    ingress = story.add((callee, ""), router, "ingress", SERVER, (arrived_ns, answered_ns - arrived_ns))
    inner = (arrived_ns + 50 * US, work_ns + 60 * US)
    inbound = story.add((callee, ""), ingress, f"router {callee}_in egress", CLIENT, inner)
    story.add((callee, "app"), inbound, f"GET /{callee}", SERVER, (arrived_ns + 80 * US, work_ns))
    return end_ns + 90 * US


def build_lines(count: int) -> list[str]:
    """Return `count` traces, an export request a line."""
    lines: list[str] = []
    for number in range(count):
        story = Story(number)
        root = "a" * 16
        story.add(("frontend", ""), "", "ingress", SERVER, (0, 0))
        router = story.add(("frontend", ""), root, "router frontend_in egress", CLIENT, (0, 0))
        app = story.add(("frontend", "app"), router, "GET /checkout", SERVER, (0, 0))
        cart_ns = add_call(story, app, "cart", 210 * US, story.jitter(700 * US))
        catalog_ns = add_call(story, app, "catalog", cart_ns + 45 * US, story.jitter(420 * US))
        envoy, application = story.groups["frontend", ""], story.groups["frontend", "app"]
        envoy[0]["spanId"] = root
        for span, start_us, margin_us in ((envoy[0], 0, 300), (envoy[1], 60, 180), (application[0], 120, 90)):
            span["startTimeUnixNano"] = str(story.start_ns + start_us * US)
            span["endTimeUnixNano"] = str(story.start_ns + catalog_ns + margin_us * US)
        lines += story.lines()
    return lines


if __name__ == "__main__":
    print("\n".join(build_lines(int(sys.argv[1]) if len(sys.argv) > 1 else 1)))  # noqa: T201 - its output
