"""The probe's configuration: one frozen Struct, a docstring under each field. Pure; reading is hopspan.config's."""

import json
from collections.abc import Iterator
from typing import Annotated

import msgspec

from hopspan.settings import Metrics, OtlpExporter, Telemetry
from hopspan.values import Endpoint, Listener, Peer, Reader, describe_duration, read_duration_to, write_duration
from node_probe.backlog import DEFAULT_MEMORY_MIB
from node_probe.kept_flows import DEFAULT_KEEP_NS
from node_probe.kept_flows import DEFAULT_MEMORY_MIB as DEFAULT_FLOW_MIB
from node_probe.transit import HEADER_FORMATS, ContextFormat

READABLE_CONTEXTS = tuple(context_format.label for context_format in ContextFormat)
DEFAULT_CONTEXTS = tuple(context_format.label for context_format in HEADER_FORMATS)
_CONTEXT_SCHEMA = json.dumps({"enum": READABLE_CONTEXTS})

MAX_FLOW_MIB = 4096
MAX_KEEP_NS = 100 * 10**9
"""Steps of the clock are remembered a little longer."""

MAX_RATE_LIMIT = 1_000_000
MIN_MEMORY_MIB = 100
"""What the agent takes without any transit that waits, and room for 26,000 at least."""


def read_context_name(text: str) -> str:
    """Return the name of a context format. Raises ValueError where this version does not read it."""
    if text in READABLE_CONTEXTS:
        return text
    raise ValueError(f"{text!r} is not one of {', '.join(READABLE_CONTEXTS)}")


class NodeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the node is called."""

    name: str = ""
    """Name under which users see the node. Default: NODE_NAME from the environment, else the host's name."""


class PointSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where packets are stamped."""

    pod: bool = True
    """Also stamp at the pods' own devices, through their network namespaces. Needs CAP_SYS_ADMIN. Default true."""
    exclude: tuple[str, ...] = ()
    """Patterns of device names that are left alone, as in a shell (`docker*`). Default: none."""
    rate_limit: Annotated[
        int, msgspec.Meta(ge=0, le=MAX_RATE_LIMIT, extra_json_schema={"x-unit": "transits a second"})
    ] = 5000
    """New transits a second of one pod, told by its cgroup, its veth or, where other nodes' packets come in, its
    address; 0: no limit. Default 5000: a pod that sends more cannot displace its neighbours' transits."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What the agent may take of its node."""

    cpu: Annotated[float, msgspec.Meta(ge=0, le=1024, extra_json_schema={"x-unit": "cores"})] = 0.5
    """Cores, averaged over a second; 0: no limit. Above it records are let go undecoded and counted, whole traces at
    a time. Default 0.5: room for tens of thousands of transits a second, and a quarter of the smallest node."""
    memory_mib: Annotated[int, msgspec.Meta(ge=MIN_MEMORY_MIB, le=65_536, extra_json_schema={"x-unit": "MiB"})] = (
        DEFAULT_MEMORY_MIB
    )
    """MiB of resident memory that the agent stays below; the compiling child of the start is not in it. It bounds
    the transits that wait for the plugin. Default 160: a minute of 5,000 transits a second."""


class FlowSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What spans may claim of TLS, where `contexts` has `flow`."""

    plugins: tuple[Peer, ...] = ()
    """`host:port` of the plugins that claims come from, over gRPC with TLS, headers and auth of exporters.otlp. A
    name with several addresses is one plugin at each. Default: exporters.otlp.endpoint."""
    memory_mib: Annotated[int, msgspec.Meta(ge=1, le=MAX_FLOW_MIB, extra_json_schema={"x-unit": "MiB"})] = (
        DEFAULT_FLOW_MIB
    )
    """MiB for the messages that no span has claimed yet, of limits.memory_mib. Default 32: 600,000 messages."""
    keep: Annotated[
        int, Reader(read_duration_to(MAX_KEEP_NS), describe_duration("more than 0s, at most 100s"), write_duration)
    ] = DEFAULT_KEEP_NS
    """How long they are kept: spans are sent when they have ended. Default 60s, at most 100s."""


class Exporters(msgspec.Struct, frozen=True, kw_only=True):
    """Where transits are sent."""

    otlp: OtlpExporter
    """An OTLP/gRPC peer."""


class ProbeMetrics(Metrics, frozen=True, kw_only=True):
    """Where the probe's own metrics are served."""

    endpoint: Listener = Endpoint("localhost", 29464)
    """`host:port` of `/metrics` and `/health`. Default localhost:29464: whoever is let in learns the load."""


class ProbeTelemetry(Telemetry, frozen=True, kw_only=True):
    """What the probe tells of itself."""

    metrics: ProbeMetrics = ProbeMetrics()
    """Its metrics, and its health."""


class ProbeConfig(msgspec.Struct, frozen=True, kw_only=True):
    """All of node-probe's configuration."""

    exporters: Exporters
    """The plugin, or a Collector before several plugins. Required."""
    node: NodeSettings = NodeSettings()
    """What the node is called."""
    points: PointSettings = PointSettings()
    """Where packets are stamped."""
    limits: Limits = Limits()
    """What the agent may take of its node."""
    contexts: tuple[Annotated[str, Reader(read_context_name, _CONTEXT_SCHEMA)], ...] = DEFAULT_CONTEXTS
    """Header formats to read: `traceparent`, `b3`, `b3multi`, `uber-trace-id`; and `flow`: messages of TLS, which no
    header can be read of, are stamped too. Default: all headers, without `flow`. What is off is free."""
    flows: FlowSettings = FlowSettings()
    """What spans may claim of TLS."""
    telemetry: ProbeTelemetry = ProbeTelemetry()
    """What the probe tells of itself."""

    def validate(self) -> Iterator[str]:
        """Yield faults."""
        if not self.contexts:
            yield "contexts: names none, so nothing would be traced"
        left_mib = self.limits.memory_mib - self.flows.memory_mib
        if self.keeps_flows and left_mib < MIN_MEMORY_MIB:
            yield f"flows.memory_mib: leaves less than {MIN_MEMORY_MIB} of limits.memory_mib"

    @property
    def keeps_flows(self) -> bool:
        """Return whether messages of TLS are stamped, and kept to be claimed."""
        return ContextFormat.FLOW.label in self.contexts
