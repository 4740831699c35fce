"""A path between two places of the testbed: who asks whom, and which points its packets must meet on each node."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address

from tests.soak import scale
from tests.testbed.accounts import check_accounts
from tests.testbed.arrivals import Arrival
from tests.testbed.bench import Bench
from tests.testbed.talk import Message, Route, connected, make_request, make_response

REQUESTS = 211
CONNECTIONS = 4

OUT = (1, 2, 3, 4)
IN = (5, 6, 7, 8)
LOCAL = (1, 2, 7, 8)
BARE_OUT = (1, 2, 4)
BARE_IN = (5, 7, 8)
"""Points of a packet that leaves or enters the node without tunnel."""

NO_EXCHANGE = "response_no_exchange"
Ways = Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]
"""By node the points of each request's transit and of each response's; empty where it begins none."""

WHOLE: Ways = {"node-1": (OUT, IN), "node-2": (IN, OUT)}
BARE: Ways = {"node-1": (BARE_OUT, BARE_IN), "node-2": (BARE_IN, BARE_OUT)}
ONE_NODE: Ways = {"node-1": (LOCAL, LOCAL), "node-2": ((), ())}


Address = IPv4Address | IPv6Address
Ends = tuple[Address, Address]


@dataclass(frozen=True)
class Path:
    """A route, what is changed for it, the points that are met, and reasons of responses by node."""

    name: str
    route: Route
    ways: Ways
    reasons: Mapping[str, str] = field(default_factory=dict)
    change: AbstractContextManager[None] = field(default_factory=nullcontext)
    ends: Ends | None = None
    """Source and destination of the tunnel as a request takes it, where it takes one."""


def check_path(bench: Bench, path: Path) -> None:
    """Send requests on the path, and check that every message is a transit by its points, or counted by name."""
    with path.change:
        accounts = bench.run(lambda: ask_often(path.route, path.reasons))
    check_accounts(accounts)
    for node, ways in path.ways.items():
        for direction, points in zip(("request", "response"), ways, strict=True):
            met = [arrival.points for arrival in accounts[node].select(direction)]
            assert met == [points] * (scale(REQUESTS) if points else 0)
        check_addresses(path, accounts[node].arrivals)


def check_addresses(path: Path, arrivals: Sequence[Arrival]) -> None:
    """Check that transits name the server as it was asked or as it listens, and the ends of their tunnel."""
    asked, listens = (map_address(ip_address(place[0])) for place in (path.route.asked_at, path.route.listens_at))
    for arrival in arrivals:
        assert arrival.server in {asked, listens}
        if path.ends:
            ends = tuple(map(map_address, path.ends))
            assert arrival.ends == (ends if arrival.sending.direction == "request" else ends[::-1])


def map_address(address: Address) -> bytes:
    """Return an address as a transit has it: in 16 bytes, IPv4 mapped."""
    return address.packed if address.version == 6 else IPv6Address(f"::ffff:{address}").packed


def ask_often(route: Route, reasons: Mapping[str, str]) -> list[Message]:
    """Send requests and their responses, some with bodies of several segments, and return all messages."""
    said: list[Message] = []
    with connected(route, CONNECTIONS) as connections:
        for number in range(scale(REQUESTS)):
            body = b"x" * (number * 97 % 20_000)
            request = make_request("POST", body=body)
            length = f"Content-Length: {len(body)}"
            response = make_response(request, headers=(length,), body=body, reasons=reasons)
            connections[number % CONNECTIONS].exchange(request, response)
            said += [request, response]
    return said
