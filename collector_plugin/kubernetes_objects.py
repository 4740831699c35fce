"""What is read of Kubernetes' objects: of pods and services the few fields that tell who had which address when.

Pure. The JSON is that of the core API, v1; everything else in it is passed over without being kept.
"""

import functools
import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

import msgspec

from collector_plugin.span_peers import pack_address
from hopspan.errors import HopspanError

NS_PER_S = 10**9

MAX_NAME_CHARACTERS = 253
"""Of names in Kubernetes (RFC 1123). Whoever answers in its place shall not fill spans."""

OVER = frozenset({"Succeeded", "Failed"})
"""Phases of pods that have ended, and have no address any more whatever their status says."""

JSON_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are not the JSON that was asked for."""

_UNSPECIFIED = frozenset(map(pack_address, ("0.0.0.0", "::")))  # noqa: S104 - compared with, not listened on

Labels = frozenset[tuple[str, str]]


class ObjectError(HopspanError):
    """The bytes are not an object of Kubernetes."""


class Pod(msgspec.Struct, frozen=True):
    """A pod; times are epoch nanoseconds."""

    uid: str
    namespace: str
    name: str
    node: str
    labels: Labels
    addresses: tuple[bytes, ...]
    """Its own, 16 bytes each; none on the node's network."""
    host_addresses: tuple[bytes, ...]
    start_ns: int
    """From here on it surely has its addresses; 0 where that is not known."""
    is_over: bool
    """Whether its addresses may be another's."""
    end_ns: int
    """Until here it surely had them; 0 where that is not known."""


class Service(msgspec.Struct, frozen=True):
    """A service."""

    uid: str
    namespace: str
    name: str
    addresses: tuple[bytes, ...]
    """Its cluster IPs, 16 bytes each."""
    selector: Labels
    """What the labels of pods behind it hold; empty for none."""
    start_ns: int
    """From here on it has its addresses; 0 where that is not known."""


_Time = Annotated[datetime, msgspec.Meta(tz=True)]
_Name = Annotated[str, msgspec.Meta(max_length=MAX_NAME_CHARACTERS)]


class _Meta(msgspec.Struct, frozen=True, rename="camel"):
    name: _Name
    uid: _Name
    namespace: _Name = ""
    labels: dict[str, str] | None = None
    creation_timestamp: _Time | None = None
    deletion_timestamp: _Time | None = None
    deletion_grace_period_seconds: int | None = None


class _Ip(msgspec.Struct, frozen=True):
    ip: str = ""


class _Condition(msgspec.Struct, frozen=True, rename="camel"):
    type: str
    status: str
    last_transition_time: _Time | None = None


class _Running(msgspec.Struct, frozen=True, rename="camel"):
    started_at: _Time | None = None


class _Terminated(msgspec.Struct, frozen=True, rename="camel"):
    started_at: _Time | None = None
    finished_at: _Time | None = None


class _State(msgspec.Struct, frozen=True):
    running: _Running | None = None
    terminated: _Terminated | None = None


class _Container(msgspec.Struct, frozen=True):
    state: _State = _State()


class _PodSpec(msgspec.Struct, frozen=True, rename="camel"):
    node_name: _Name = ""
    host_network: bool = False


class _PodStatus(msgspec.Struct, frozen=True, rename={"pod_ips": "podIPs", "host_ips": "hostIPs"}):
    phase: str = ""
    pod_ips: list[_Ip] | None = None
    host_ips: list[_Ip] | None = None
    host_ip: str = msgspec.field(name="hostIP", default="")
    conditions: list[_Condition] | None = None
    containers: list[_Container] | None = msgspec.field(name="containerStatuses", default=None)
    init_containers: list[_Container] | None = msgspec.field(name="initContainerStatuses", default=None)

    def list_containers(self) -> list[_Container]:
        """Return all, sidecars among the initial ones."""
        return [*(self.containers or ()), *(self.init_containers or ())]


class _Pod(msgspec.Struct, frozen=True):
    metadata: _Meta
    spec: _PodSpec = _PodSpec()
    status: _PodStatus = _PodStatus()


class _ServiceSpec(msgspec.Struct, frozen=True, rename={"cluster_ips": "clusterIPs", "cluster_ip": "clusterIP"}):
    cluster_ips: list[str] | None = None
    cluster_ip: str = ""
    selector: dict[str, str] | None = None


class _Service(msgspec.Struct, frozen=True):
    metadata: _Meta
    spec: _ServiceSpec = _ServiceSpec()


_read_pod = msgspec.json.Decoder(_Pod).decode
_read_service = msgspec.json.Decoder(_Service).decode


def read_pod(data: bytes, *, is_gone: bool = False) -> Pod:
    """Return the pod; `is_gone` where the API server has it no more. Raises ObjectError."""
    try:
        pod = _read_pod(data)
    except JSON_ERRORS as error:
        raise ObjectError(f"not a pod: {error}") from error
    meta, spec, status = pod.metadata, pod.spec, pod.status
    hosts = [one.ip for one in status.host_ips or ()] or [status.host_ip]
    own = () if spec.host_network else (one.ip for one in status.pod_ips or ())
    return Pod(
        meta.uid,
        sys.intern(meta.namespace),
        meta.name,
        sys.intern(spec.node_name),
        _share_labels(frozenset((meta.labels or {}).items())),
        _read_addresses(own),
        _read_addresses(hosts),
        _find_start_ns(status),
        is_gone or status.phase in OVER,
        _find_end_ns(meta, status),
    )


def read_service(data: bytes) -> Service:
    """Return the service. Raises ObjectError."""
    try:
        service = _read_service(data)
    except JSON_ERRORS as error:
        raise ObjectError(f"not a service: {error}") from error
    meta, spec = service.metadata, service.spec
    selector = frozenset((spec.selector or {}).items())
    addresses = _read_addresses(spec.cluster_ips or [spec.cluster_ip])
    start_ns = 0 if meta.creation_timestamp is None else _read_ns(meta.creation_timestamp) + NS_PER_S
    return Service(meta.uid, meta.namespace, meta.name, addresses, selector, start_ns)


def read_address(text: str) -> bytes | None:
    """Return the address as records have it (16 bytes, IPv4 mapped); None for `None` of a headless service."""
    address = pack_address(text)
    return address if address and address not in _UNSPECIFIED else None


@functools.lru_cache(4096)
def _share_labels(labels: Labels) -> Labels:
    # The pods of a deployment have the same: kept once.
    return labels


def _read_addresses(texts: Iterable[str]) -> tuple[bytes, ...]:
    return tuple(address for address in map(read_address, texts) if address is not None)


def _find_start_ns(status: _PodStatus) -> int:
    """Return from when on the pod surely has its address; 0 where that is not told.

    Its network was there by then, or a container of it had started.
    """
    times = [
        condition.last_transition_time
        for condition in status.conditions or ()
        if condition.type == "PodReadyToStartContainers" and condition.status == "True"
    ]
    for container in status.list_containers():
        times += [container.state.running.started_at] if container.state.running is not None else []
        times += [container.state.terminated.started_at] if container.state.terminated is not None else []
    # Whole seconds, cut: it was within that second.
    return min((_read_ns(time) + NS_PER_S for time in times if time is not None), default=0)


def _find_end_ns(meta: _Meta, status: _PodStatus) -> int:
    """Return until when the pod surely had its address; 0 where that is not told.

    Once the last container has ended its address may be another pod's, before this one is gone. Where the containers'
    ends are not told, its deletion is: until that was asked for the pod kept its address.
    """
    ended = [container.state.terminated for container in status.list_containers()]
    times = [one.finished_at for one in ended if one is not None and one.finished_at is not None]
    if times and None not in ended:
        return _read_ns(max(times))
    if meta.deletion_timestamp is None or status.phase in OVER:
        return 0
    # It tells when the time to end is over, however often the deletion was asked for.
    return _read_ns(meta.deletion_timestamp) - (meta.deletion_grace_period_seconds or 0) * NS_PER_S


def _read_ns(time: datetime) -> int:
    return int(time.timestamp()) * NS_PER_S
