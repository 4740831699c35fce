"""The sidecars of question 1 are the shipped one, hold all variants, and these differ in nothing but the context."""

import json
import subprocess
from pathlib import Path
from typing import Any

from evaluation.relocation_runs import AGAIN, FIRST, LAST, UNTRACED, VARIANTS
from evaluation.relocation_sidecars import INBOUND_PORTS, Sidecar, Upstream, name_session, render_files
from testbed.errors import TestbedError
from testbed.requirements import find_envoy
from tests.requirements import lack

COLLECTOR = ("198.51.100.1", 4317)
CUSTOMER = Sidecar("customer", 8081)
FRONTEND = Sidecar(
    "frontend",
    8080,
    (Upstream("customer", 15001, "192.0.2.1"), Upstream("driver", 15002, "192.0.2.2", is_grpc=True)),
    passed_on=("customer",),
    untraced_port=8090,
)


def render(sidecar: Sidecar = FRONTEND) -> Any:
    """Return the sidecar's configuration."""
    return json.loads(render_files(sidecar, COLLECTOR)["envoy.yaml"])["static_resources"]


def find_manager(port: int, sidecar: Sidecar = FRONTEND) -> Any:
    """Return the HTTP connection manager of the listener at a port."""
    (found,) = (
        each for each in render(sidecar)["listeners"] if each["address"]["socket_address"]["port_value"] == port
    )
    return found["filter_chains"][0]["filters"][0]["typed_config"]


def list_routes(port: int) -> list[tuple[str, str, str]]:
    """Return prefix, what the baggage is to hold, and cluster of the routes of the listener at a port."""
    (host,) = find_manager(port)["route_config"]["virtual_hosts"]
    return [
        (
            route["match"]["prefix"],
            "".join(header["string_match"]["contains"] for header in route["match"].get("headers", [])),
            route["route"]["cluster"],
        )
        for route in host["routes"]
    ]


def find_cluster(upstream: str, variant: str) -> Any:
    """Return the cluster to which a variant's requests for an upstream go."""
    wanted = f"{upstream}-{INBOUND_PORTS[variant]}"
    (found,) = (cluster for cluster in render()["clusters"] if cluster["name"] == wanted)
    return found


def test_filter_is_in_one_variant_alone() -> None:
    """On all that leaves the pod by HTTP/1.1, as it is shipped."""
    filtered = [cluster["name"] for cluster in render()["clusters"] if "lua" in json.dumps(cluster)]
    assert filtered == [find_cluster("customer", FIRST)["name"]]


def test_control_is_context_last_once_more() -> None:
    """But for its port and its name, which are no longer and no shorter."""
    ports = str(INBOUND_PORTS[AGAIN]), str(INBOUND_PORTS[LAST])
    for again, last in (
        (find_manager(INBOUND_PORTS[AGAIN]), find_manager(INBOUND_PORTS[LAST])),
        *((find_cluster(name, AGAIN), find_cluster(name, LAST)) for name in ("customer", "driver")),
    ):
        assert json.loads(json.dumps(again).replace(*ports)) == last != again


def test_header_blocks_of_the_variants_have_the_same_length() -> None:
    """What tells them apart would else be a part of what is measured; and no name holds another."""
    sessions = {name_session(variant) for variant in VARIANTS}
    assert len(sessions) == len(VARIANTS)
    assert len({len(session) for session in sessions}) == 1


def test_traced_variants_trace_alike_and_the_fourth_not_at_all() -> None:
    """At every listener that its requests meet."""
    for sidecar in (FRONTEND, CUSTOMER):
        tracing = {variant: find_manager(port, sidecar).get("tracing") for variant, port in INBOUND_PORTS.items()}
        assert tracing.pop(UNTRACED) is None
        assert tracing[LAST]
        assert all(each == tracing[LAST] for each in tracing.values())
    for upstream in FRONTEND.upstreams:
        assert find_manager(upstream.find_port(is_traced=True))["tracing"]
        assert "tracing" not in find_manager(upstream.find_port(is_traced=False))


def test_call_is_passed_on_and_all_else_reaches_the_application() -> None:
    """A `call` meets two sidecars and one application, a ride begins at the frontend's; baggage says the variant."""
    for variant, port in INBOUND_PORTS.items():
        application = "app-untraced" if variant == UNTRACED else "app"
        assert list_routes(port) == [("/customer", "", f"customer-{port}"), ("/", "", application)]
        (host,) = find_manager(port)["route_config"]["virtual_hosts"]
        (added,) = host["request_headers_to_add"]
        assert added["header"] == {"key": "baggage", "value": name_session(variant)}


def test_what_the_application_sends_goes_on_as_its_variant() -> None:
    """Traced ones by one listener, which reads the baggage; to the port of the variant at the other sidecar."""
    traced = list_routes(15001)
    assert traced == [
        ("/", name_session(variant), find_cluster("customer", variant)["name"]) for variant in (LAST, AGAIN, FIRST)
    ]
    assert list_routes(15101) == [("/", name_session(UNTRACED), find_cluster("customer", UNTRACED)["name"])]
    for variant, port in INBOUND_PORTS.items():
        assert f'"port_value": {port}' in json.dumps(find_cluster("customer", variant)["load_assignment"])


def test_envoy_takes_it(tmp_path: Path) -> None:
    """The real one, with all files that the pods get."""
    try:
        envoy = find_envoy()
    except TestbedError as error:
        lack(str(error))
    for sidecar in (FRONTEND, CUSTOMER):
        for name, text in render_files(sidecar, COLLECTOR).items():
            (tmp_path / name).write_text(text)
        command = [str(envoy), "--mode", "validate", "--config-path", "envoy.yaml"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
