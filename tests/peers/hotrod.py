"""Runs HotROD, Jaeger's demo application, on the testbed's pods: its frontend on one node, all else on the other.

Its services are instrumented by OpenTelemetry for Go, and call each other by HTTP/1.1, the driver alone by gRPC.
"""

import json
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

from testbed.deadline import wait_until
from testbed.namespace import open_socket
from testbed.topology import CART, CART_SERVICE, FRONTEND, SIDECAR_INBOUND_PORT
from tests.peers.peers import START_TIMEOUT_S, Peers

ROUTES = 10
"""Calls of `route` in one request: one for each driver."""

CALLS = 2 + ROUTES
"""Calls in one request of the frontend: `customer` and `driver` before them."""

_SERVICES = {"customer": SIDECAR_INBOUND_PORT, "driver": 8082, "route": 8083}
_FRONTEND_PORT = 8080
_CUSTOMER = 123
"""One that HotROD knows."""


def start_hotrod(peers: Peers, program: Path, collector: str) -> None:
    """Start all services, which send their spans to an OTLP/HTTP receiver at `host:port`; ready on return."""
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector}", "OTEL_BSP_SCHEDULE_DELAY": "200"}
    for service, port in _SERVICES.items():
        command = [str(program), service, f"--{service}-service-port={port}"]
        peers.launch(service, command, environment, CART.namespace)
    # `customer` by its ClusterIP, which the node translates, the others by their pod's address.
    addresses = {
        "customer": (CART_SERVICE.cluster_address, CART_SERVICE.port),
        "driver": (CART.address, _SERVICES["driver"]),
        "route": (CART.address, _SERVICES["route"]),
    }
    command = [str(program), "frontend"]
    for service, (host, port) in addresses.items():
        command += [f"--{service}-service-hostname={host}", f"--{service}-service-port={port}"]
    peers.launch("frontend", command, environment, FRONTEND.namespace)
    places = [(str(host), port) for host, port in [*addresses.values(), (FRONTEND.address, _FRONTEND_PORT)]]
    wait_until(lambda: all(map(_listens, places)), f"not all listen of {places}", START_TIMEOUT_S)


def request_ride(host: str = str(FRONTEND.address)) -> Any:
    """Ask the frontend for a driver, as its page does; return its answer."""
    url = f"http://{host}:{_FRONTEND_PORT}/dispatch?customer={_CUSTOMER}"
    with urllib.request.urlopen(url, timeout=START_TIMEOUT_S) as answer:
        return json.loads(answer.read())


def _listens(place: tuple[str, int]) -> bool:
    with closing(open_socket(FRONTEND.namespace)) as connected:
        connected.settimeout(1)
        return connected.connect_ex(place) == 0
