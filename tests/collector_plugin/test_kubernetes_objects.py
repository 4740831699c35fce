"""What is read of Kubernetes' objects: which addresses a pod had, from when to when, and what is no object at all."""

from typing import Any

import pytest

from collector_plugin.kubernetes_objects import ObjectError, read_address, read_pod, read_service
from tests.collector_plugin.builders import EPOCH_NS, SECOND, address
from tests.collector_plugin.cluster_objects import make_pod, make_service, tell_time, write_object

NOW_NS = EPOCH_NS + 1000 * SECOND


def test_pod_has_what_tells_it_apart() -> None:
    """And both addresses of a cluster that has two families."""
    made = make_pod("cart-1", "10.244.2.2", labels={"app": "cart"})
    made["status"]["podIPs"].append({"ip": "fd00::2"})
    pod = read_pod(write_object(made), NOW_NS)
    assert (pod.uid, pod.namespace, pod.name, pod.node) == ("uid-cart-1", "shop", "cart-1", "node-1")
    assert pod.addresses == (address("10.244.2.2"), address("fd00::2"))
    assert (pod.labels, pod.end_ns) == (frozenset({("app", "cart")}), None)


TERMINATED = {"terminated": {"finishedAt": tell_time(10)}}
RUNNING: dict[str, Any] = {"running": {}}

ENDS = [
    ("all have ended", [TERMINATED, TERMINATED], [], 11),
    ("a sidecar ended later", [TERMINATED], [{"terminated": {"finishedAt": tell_time(20)}}], 21),
    ("one may still run, as after a forced deletion", [TERMINATED, RUNNING], [], 1000),
    ("none was ever started", [], [], 1000),
    ("its end is not known", [{"terminated": {"finishedAt": None}}], [], 1000),
    ("the node's clock is ahead of ours", [{"terminated": {"finishedAt": tell_time(2000)}}], [], 1000),
]


@pytest.mark.parametrize(("containers", "init", "end_s"), [case[1:] for case in ENDS], ids=[case[0] for case in ENDS])
def test_pod_that_is_gone_had_its_address_until_its_last_container_ended(
    containers: list[dict[str, Any]], init: list[dict[str, Any]], end_s: int
) -> None:
    """By the second, which is cut; where that is not known, until now at most."""
    made = make_pod("job", "10.244.2.2")
    made["status"]["containerStatuses"] = [{"name": "c", "state": state} for state in containers]
    made["status"]["initContainerStatuses"] = [{"name": "i", "state": state} for state in init]
    pod = read_pod(write_object(made), NOW_NS, is_gone=True)
    assert pod.end_ns == EPOCH_NS + end_s * SECOND


def test_pod_without_a_start_began_when_it_was_made() -> None:
    """Its node has not taken it in yet; without any time at all it begins now."""
    made = make_pod("new", "10.244.2.2", start_s=5)
    del made["status"]["startTime"]
    assert read_pod(write_object(made), NOW_NS).start_ns == EPOCH_NS + 5 * SECOND
    made["metadata"]["creationTimestamp"] = None
    assert read_pod(write_object(made), NOW_NS).start_ns == NOW_NS


def test_service_has_its_addresses_and_its_selector() -> None:
    """A headless one has no address."""
    service = read_service(write_object(make_service("cart", "10.96.0.10", selector={"app": "cart"})), NOW_NS)
    assert (service.addresses, service.selector) == ((address("10.96.0.10"),), frozenset({("app", "cart")}))
    assert read_service(write_object(make_service("headless")), NOW_NS).addresses == ()


def test_name_longer_than_kubernetes_has_is_none() -> None:
    """It would be on every span."""
    read_pod(write_object(make_pod("n" * 249)), NOW_NS)
    with pytest.raises(ObjectError):
        read_pod(write_object(make_pod("n" * 254)), NOW_NS)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"metadata": {"name": "a"}}', b'{"metadata": {"uid": 5}}', b"\xff"]
)
def test_what_is_no_object_is_told_so(data: bytes) -> None:
    """By the one error that is documented."""
    with pytest.raises(ObjectError):
        read_pod(data, NOW_NS)
    with pytest.raises(ObjectError):
        read_service(data, NOW_NS)


@pytest.mark.parametrize("text", ["", "None", "0.0.0.0", "::", "10.0.0", "10.0.0.1/24"])  # noqa: S104 - not listened on
def test_what_is_no_address_is_none(text: str) -> None:
    """What nobody can have is none either."""
    assert read_address(text) is None
