"""The sidecars of question 1 are the shipped one, and differ in nothing but the context."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from evaluation.relocation_runs import FIRST, LAST, UNTRACED, VARIANTS
from evaluation.relocation_sidecars import Sidecar, Upstream, render_files
from testbed.errors import TestbedError
from testbed.requirements import find_envoy
from tests.requirements import lack

COLLECTOR = ("198.51.100.1", 4317)
FRONTEND = Sidecar(
    "frontend",
    8080,
    (
        Upstream("customer", 15001, ("192.0.2.1", 8000)),
        Upstream("driver", 15002, ("192.0.2.2", 8000), is_grpc=True),
    ),
    passed_on=("customer",),
)


def render(variant: str) -> Any:
    """Return the frontend's configuration."""
    return json.loads(render_files(FRONTEND, variant, COLLECTOR)["envoy.yaml"])["static_resources"]


def list_filtered(variant: str) -> list[str]:
    """Return the clusters whose requests pass the filter."""
    return [cluster["name"] for cluster in render(variant)["clusters"] if "lua" in json.dumps(cluster)]


def list_managers(variant: str) -> list[Any]:
    """Return the HTTP connection managers of all listeners."""
    listeners = render(variant)["listeners"]
    return [listener["filter_chains"][0]["filters"][0]["typed_config"] for listener in listeners]


def test_filter_is_in_one_variant_alone() -> None:
    """On all that leaves the pod by HTTP/1.1, as it is shipped."""
    assert {variant: list_filtered(variant) for variant in VARIANTS} == {
        LAST: [],
        FIRST: ["customer"],
        UNTRACED: [],
    }


def test_both_traced_variants_trace_alike() -> None:
    """Every listener of the sidecar, by the same means; the third one none, and has no way to the Collector."""
    tracing = {variant: [manager.get("tracing") for manager in list_managers(variant)] for variant in VARIANTS}
    assert tracing[LAST] == tracing[FIRST]
    assert all(tracing[LAST])
    assert tracing[UNTRACED] == [None, None, None]
    assert "spans" not in {cluster["name"] for cluster in render(UNTRACED)["clusters"]}


def test_call_is_passed_on_and_all_else_reaches_the_application() -> None:
    """A `call` meets two sidecars and one application, a ride begins at the frontend's."""
    (inbound, *_) = list_managers(LAST)
    (host,) = inbound["route_config"]["virtual_hosts"]
    routes = [(route["match"]["prefix"], route["route"]["cluster"]) for route in host["routes"]]
    assert routes == [("/customer", "customer"), ("/", "app")]


@pytest.mark.parametrize("variant", VARIANTS)
def test_envoy_takes_it(variant: str, tmp_path: Path) -> None:
    """The real one, with all files that the pod gets."""
    try:
        envoy = find_envoy()
    except TestbedError as error:
        lack(str(error))
    for name, text in render_files(FRONTEND, variant, COLLECTOR).items():
        (tmp_path / name).write_text(text)
    command = [str(envoy), "--mode", "validate", "--config-path", "envoy.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
