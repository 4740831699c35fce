"""Builds Kubernetes' objects as its API server sends them, for tests: pods and services of a made-up cluster.

Times are given in seconds after EPOCH_NS.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from collector_plugin.end_names import EndNames
from tests.collector_plugin.builders import EPOCH_NS, NODE_1, SECOND, SERVER, make_half, make_transit

HOST = "192.168.7.1"


def tell_time(at_s: float) -> str:
    """Return the time as the API server writes it: whole seconds, cut."""
    return datetime.fromtimestamp(EPOCH_NS // SECOND + int(at_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def make_pod(
    name: str, ip: str = "", *, start_s: float = -600, node: str = "node-1", **fields: Any
) -> dict[str, Any]:
    """Return a running pod; `fields` are `labels`, `host_network`, `ended_s`, `ready_s`, `host`."""
    status: dict[str, Any] = {"phase": "Running" if ip else "Pending"}
    if ip:
        host = fields.get("host", HOST)
        status |= {"hostIP": host, "hostIPs": [{"ip": host}], "podIP": ip, "podIPs": [{"ip": ip}]}
        running = {"startedAt": tell_time(fields.get("ready_s", start_s))}
        status |= {
            "startTime": tell_time(start_s),
            "containerStatuses": [{"name": "c", "state": {"running": running}}],
        }
    if "ready_s" in fields:
        condition = {"status": "True", "lastTransitionTime": tell_time(fields["ready_s"])}
        status["conditions"] = [{"type": "PodReadyToStartContainers", **condition}]
    if "ended_s" in fields:
        times = {"startedAt": tell_time(fields.get("ready_s", start_s)), "finishedAt": tell_time(fields["ended_s"])}
        terminated = {"exitCode": 0, **times}
        status |= {"phase": "Succeeded", "containerStatuses": [{"name": "c", "state": {"terminated": terminated}}]}
    spec = {"nodeName": node, "hostNetwork": True} if fields.get("host_network") else {"nodeName": node}
    meta = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "labels": fields.get("labels")}
    meta |= {"creationTimestamp": tell_time(start_s), "resourceVersion": "5"}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": meta, "spec": spec, "status": status}


def make_service(
    name: str, ip: str = "None", *, selector: Mapping[str, str] | None = None, start_s: float = -600
) -> dict[str, Any]:
    """Return a service; without an address a headless one."""
    meta = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "creationTimestamp": tell_time(start_s)}
    spec = {"clusterIP": ip, "clusterIPs": [ip], "selector": selector}
    return {"kind": "Service", "apiVersion": "v1", "metadata": {**meta, "resourceVersion": "5"}, "spec": spec}


def write_object(value: Mapping[str, Any]) -> bytes:
    """Return the JSON of an object."""
    return json.dumps(value).encode()


def write_page(items: list[dict[str, Any]], version: str = "10", following: str = "") -> bytes:
    """Return a page of a list; `following` is the token of the next."""
    return write_object(
        {"kind": "List", "metadata": {"resourceVersion": version, "continue": following}, "items": items}
    )


def write_event(kind: str, value: Mapping[str, Any]) -> bytes:
    """Return a line of a watch."""
    return write_object({"type": kind, "object": value}) + b"\n"


def list_names(names: EndNames, at_s: float = 0, server: str = SERVER) -> dict[str, str]:
    """Return what the spans of a request from CLIENT to `server` say of both ends, without `k8s.` and `.name`."""
    half = make_half(NODE_1, make_transit({2: 0, 3: 3}, server=server), offset_ns=half_offset(at_s))
    _, *groups = names.describe(half)
    pairs = [pair for group in groups for pair in group.pairs]
    return {key.replace(".k8s.", ".").removesuffix(".name"): str(value) for key, value in pairs}


def half_offset(at_s: float) -> int:
    """Return the offset of a node whose first stamp is `at_s` after EPOCH_NS."""
    half = make_half(NODE_1, make_transit({2: 0, 3: 3}), offset_ns=0)
    return EPOCH_NS + int(at_s * SECOND) - half.times_ns[0]
