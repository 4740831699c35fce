"""What is read of Kubernetes' objects: which addresses a pod had, from when to when, and what is no object at all."""

from typing import Any

import pytest

from collector_plugin.kubernetes_objects import ObjectError, read_address, read_pod, read_service
from tests.collector_plugin.builders import EPOCH_NS, SECOND, address
from tests.collector_plugin.cluster_objects import make_pod, make_service, tell_time, write_object


def test_pod_has_what_tells_it_apart() -> None:
    """And both addresses of a cluster that has two families."""
    made = make_pod("cart-1", "10.244.2.2", labels={"app": "cart"})
    made["status"]["podIPs"].append({"ip": "fd00::2"})
    pod = read_pod(write_object(made))
    assert (pod.uid, pod.namespace, pod.name, pod.node) == ("uid-cart-1", "shop", "cart-1", "node-1")
    assert pod.addresses == (address("10.244.2.2"), address("fd00::2"))
    assert (pod.labels, pod.is_over) == (frozenset({("app", "cart")}), False)


TERMINATED = {"terminated": {"startedAt": tell_time(4), "finishedAt": tell_time(10)}}
RUNNING = {"running": {"startedAt": tell_time(7)}}
WAITING: dict[str, Any] = {"waiting": {"reason": "ContainerCreating"}}

ENDS = [
    ("all have ended", [TERMINATED, TERMINATED], [], 10),
    ("a sidecar ended later", [TERMINATED], [{"terminated": {"finishedAt": tell_time(20)}}], 20),
    ("one may still run, as after a forced deletion", [TERMINATED, RUNNING], [], None),
    ("none was ever started", [], [], None),
    ("its end is not told", [{"terminated": {"finishedAt": None}}], [], None),
]


@pytest.mark.parametrize(("containers", "init", "end_s"), [case[1:] for case in ENDS], ids=[case[0] for case in ENDS])
def test_pod_that_is_gone_had_its_address_until_its_last_container_ended(
    containers: list[dict[str, Any]], init: list[dict[str, Any]], end_s: int | None
) -> None:
    """By the second, which is cut: it did have it until there."""
    pod = read_pod(write_object(make_states(containers, init)), is_gone=True)
    assert (pod.is_over, pod.end_ns) == (True, 0 if end_s is None else EPOCH_NS + end_s * SECOND)


@pytest.mark.parametrize(("phase", "end_s"), [("Running", 20), ("Failed", None)])
def test_pod_whose_end_is_not_told_had_its_address_until_its_deletion_was_asked_for(
    phase: str, end_s: int | None
) -> None:
    """Which is told with the time that it was given to end; one that had failed before may have lost it before."""
    made = make_states([RUNNING], [])
    made["metadata"] |= {"deletionTimestamp": tell_time(50), "deletionGracePeriodSeconds": 30}
    made["status"]["phase"] = phase
    pod = read_pod(write_object(made), is_gone=True)
    assert (pod.is_over, pod.end_ns) == (True, 0 if end_s is None else EPOCH_NS + end_s * SECOND)


STARTS = [
    ("a container runs", [RUNNING], [], None, 8),
    ("another had ended before", [RUNNING, TERMINATED], [], None, 5),
    ("an initial one had started before", [WAITING], [TERMINATED], None, 5),
    ("its network was there before", [RUNNING], [], 2, 3),
    ("nothing tells", [WAITING], [], None, None),
]


@pytest.mark.parametrize(
    ("containers", "init", "ready_s", "start_s"), [case[1:] for case in STARTS], ids=[case[0] for case in STARTS]
)
def test_pod_has_its_address_from_the_first_thing_that_needs_it(
    containers: list[dict[str, Any]], init: list[dict[str, Any]], ready_s: int | None, start_s: int | None
) -> None:
    """To the end of the second that is told, for it began within; not from the pod's own start, when it had none."""
    made = make_states(containers, init)
    if ready_s is not None:
        condition = {"type": "PodReadyToStartContainers", "status": "True", "lastTransitionTime": tell_time(ready_s)}
        other = {"type": "PodScheduled", "status": "True", "lastTransitionTime": tell_time(0)}
        made["status"]["conditions"] = [other, condition, {**condition, "status": "False"}]
    pod = read_pod(write_object(made))
    assert (pod.is_over, pod.start_ns) == (False, 0 if start_s is None else EPOCH_NS + start_s * SECOND)


def make_states(containers: list[dict[str, Any]], init: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a pod whose containers are in these states."""
    made = make_pod("job", "10.244.2.2")
    made["status"]["containerStatuses"] = [{"name": "c", "state": state} for state in containers]
    made["status"]["initContainerStatuses"] = [{"name": "i", "state": state} for state in init]
    return made


def test_service_has_its_addresses_and_its_selector() -> None:
    """A headless one has no address."""
    service = read_service(write_object(make_service("cart", "10.96.0.10", selector={"app": "cart"})))
    assert (service.addresses, service.selector) == ((address("10.96.0.10"),), frozenset({("app", "cart")}))
    assert read_service(write_object(make_service("headless"))).addresses == ()


def test_name_longer_than_kubernetes_has_is_none() -> None:
    """It would be on every span."""
    read_pod(write_object(make_pod("n" * 249)))
    with pytest.raises(ObjectError):
        read_pod(write_object(make_pod("n" * 254)))


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"metadata": {"name": "a"}}', b'{"metadata": {"uid": 5}}', b"\xff"]
)
def test_what_is_no_object_is_told_so(data: bytes) -> None:
    """By the one error that is documented."""
    with pytest.raises(ObjectError):
        read_pod(data)
    with pytest.raises(ObjectError):
        read_service(data)


@pytest.mark.parametrize("text", ["", "None", "0.0.0.0", "::", "10.0.0", "10.0.0.1/24"])  # noqa: S104 - not listened on
def test_what_is_no_address_is_none(text: str) -> None:
    """What nobody can have is none either."""
    assert read_address(text) is None
