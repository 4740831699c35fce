"""Writes batches of spans as one OTLP request: the node's resource, the scope, and the spans as they are.

Pure; reads no clock. wire_batch reads what is written here. Messages: resource.proto, common.proto, trace.proto and
trace_service.proto of OTLP.
"""

from collections.abc import Iterator, Mapping, Sequence

from hopspan.protowire import write_integer, write_length
from node_probe.span_writer import SpanBatch
from node_probe.transit import NodeIdentity
from node_probe.wire_record import SCOPE, SERVICE_NAME


class RequestWriter:
    """Writes the requests of one node. May be used by another thread than the one that made it."""

    def __init__(self, node: NodeIdentity, version: str) -> None:
        """`version` is the probe's, sent as the scope's."""
        strings = {
            "service.name": SERVICE_NAME,
            "host.id": node.host_id,
            "host.name": node.host_name,
            "hopspan.node": node.name,
            "k8s.node.name": node.k8s_node_name,
            "hopspan.clock.id": node.clock_id,
        }
        self._constant = b"".join(_attribute(key, _string(value)) for key, value in strings.items() if value)
        self._scope = write_length(1, write_length(1, SCOPE.encode()) + write_length(2, version.encode()))

    def write(self, batches: Sequence[SpanBatch], epoch_offset_ns: int, names: Mapping[int, str]) -> bytes:
        """Return an ExportTraceServiceRequest with one ResourceSpans.

        `epoch_offset_ns` is CLOCK_REALTIME - CLOCK_MONOTONIC now; `names` are the interfaces' by index, of which
        those are sent that occur.
        """
        occurring = frozenset[int]().union(*(batch.ifindexes for batch in batches))
        interfaces = b"".join(_list_interfaces(occurring, names))
        resource = (
            self._constant
            + _attribute("hopspan.epoch_offset_ns", write_integer(3, epoch_offset_ns))
            + _attribute("hopspan.interfaces", write_length(5, interfaces))
        )
        scope_spans = b"".join((self._scope, *(batch.spans for batch in batches)))
        return write_length(1, write_length(1, resource) + write_length(2, scope_spans))


def _list_interfaces(occurring: frozenset[int], names: Mapping[int, str]) -> Iterator[bytes]:
    for ifindex in sorted(occurring & names.keys()):
        yield write_length(1, _string(f"{ifindex} {names[ifindex]}"))


def _string(text: str) -> bytes:
    return write_length(1, text.encode())


def _attribute(key: str, value: bytes) -> bytes:
    return write_length(1, write_length(1, key.encode()) + write_length(2, value))
