"""Names from the API: network spans tell whose their addresses are (pod, service, node), by the least of rights."""

import json
import time
from itertools import product

import pytest

from tests.kubernetes.chart import NAMESPACE, PLUGIN, PROBE, Chart
from tests.kubernetes.hotrod import HotRod
from tests.kubernetes.test_chart import NODE_HOPS, RIDES
from tests.peers.hotrod_traces import check_rides
from tests.peers.jaeger_api import JaegerApi
from traceview.span import Direction, Span

pytestmark = [pytest.mark.kubernetes, pytest.mark.bpf]

NAMES = "kubernetes.names.enabled=true"
NEEDED = {("list", "pods"), ("watch", "pods"), ("list", "services"), ("watch", "services")}
VERBS = ("get", "list", "watch", "create", "update", "delete")
RESOURCES = ("pods", "services", "nodes", "secrets", "configmaps", "endpoints")


def list_rights(chart: Chart, account: str) -> set[tuple[str, str]]:
    """Return what of VERBS and RESOURCES the API server lets a service account do in the whole cluster."""
    asked = list(product(VERBS, RESOURCES))
    reviews = "\n---\n".join(render_review(account, verb, resource) for verb, resource in asked)
    allowed = 'jsonpath={.status.allowed}{"\\n"}'
    answers = chart.cluster.kubectl.run("create", "-f", "-", "-o", allowed, text_input=reviews).split()
    return {right for right, answer in zip(asked, answers, strict=True) if answer == "true"}


def render_review(account: str, verb: str, resource: str) -> str:
    """Return the question, as an object that the API server answers."""
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}", "system:authenticated"]
    asked = {"verb": verb, "resource": resource}
    spec = {"user": f"system:serviceaccount:{NAMESPACE}:{account}", "groups": groups, "resourceAttributes": asked}
    return json.dumps({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec})


def check_names(hop: Span, service: str) -> None:
    """Assert that the hop of a call from `frontend` to the service names both ends, as they are seen on its node."""
    ends = ("source", "destination")
    caller, called = ends if hop.direction is Direction.REQUEST else ends[::-1]
    names = {key: str(value) for key, value in hop.attributes.items() if ".k8s." in key}
    assert names[f"{caller}.k8s.pod.name"].startswith("frontend-")
    assert names[f"{caller}.k8s.node.name"] == "node-1"
    assert names[f"{caller}.k8s.namespace.name"] == names[f"{called}.k8s.namespace.name"] == "hotrod"
    assert names[f"{called}.k8s.service.name"] == service
    if f"{called}.k8s.pod.name" in names:
        assert names[f"{called}.k8s.pod.name"].startswith(f"{service}-")
        assert names[f"{called}.k8s.node.name"] == "node-2"


def test_hops_name_pods_and_services(chart: Chart, hotrod: HotRod, jaeger: JaegerApi) -> None:
    """On the caller's node the service that was called, behind kube-proxy's translation the pod that answered."""
    chart.ensure(NAMES)
    since_ns = time.time_ns()
    hotrod.ride(RIDES)
    for call in check_rides(jaeger, RIDES, since_ns, NODE_HOPS):
        (server,) = call.servers
        for hop in call.hops:
            check_names(hop, server.service)
        assert any("destination.k8s.pod.name" in hop.attributes for hop in call.hops)


def test_rights_are_the_least(chart: Chart) -> None:
    """The plugin may list and watch pods and services, with names alone; the probe may do nothing."""
    chart.ensure()
    assert list_rights(chart, PLUGIN) == set()
    chart.ensure(NAMES)
    assert list_rights(chart, PLUGIN) == NEEDED
    assert list_rights(chart, PROBE) == set()
