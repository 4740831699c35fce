"""How flows are named by spans, as a frozen Struct.

Pure. The strings under the fields are their documentation: meaning, unit, default and why.
"""

from collections.abc import Iterator
from typing import Annotated

import msgspec

from collector_plugin.span_attributes import MAX_KEY_BYTES

Names = Annotated[
    tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_KEY_BYTES)], ...], msgspec.Meta(max_length=16)
]


class FlowAttributes(msgspec.Struct, frozen=True, kw_only=True):
    """Attributes of CLIENT spans, in the order in which they are looked for; the first that a span has counts.

    One whose value is an address without a port has it in its neighbour: the port of `a.b.address` is `a.b.port`.
    """

    client: Names = ("hopspan.local", "network.local.address", "client.address")
    """Where the connection comes from. Default: the custom tag that `otel-config/envoy` has Envoy set, then the
    semantic conventions."""
    server: Names = ("hopspan.remote", "upstream_address", "network.peer.address", "server.address")
    """Where it leads; a name instead of an address counts as none, and the client's end is enough. Default: the
    custom tag, Envoy's own, then the semantic conventions."""
    protocol: Names = ("hopspan.protocol", "network.protocol.version", "http.flavor")
    """Which HTTP is spoken: version 1 has one request at a time on a connection, so that more of them can be told
    apart. Default: the custom tag, then the semantic conventions; not Envoy's `http.protocol`, which need not be that
    of the connection: of 1.40 it is, of all releases nobody says so."""

    def validate(self) -> Iterator[str]:
        """Yield faults: nothing to name a flow by, and names that are too long."""
        if not self.client:
            yield "client: expected at least one"
        for key in ("client", "server", "protocol"):
            for index, name in enumerate(getattr(self, key)):
                if len(name.encode()) > MAX_KEY_BYTES:
                    yield f"{key}[{index}]: has more than {MAX_KEY_BYTES} bytes"


class FlowSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is claimed from agents for spans whose connection is encrypted."""

    enabled: bool = False
    """Claim the flows that CLIENT spans name, from agents whose `contexts` have `flow`. Default false: attributes of
    spans are not read."""
    attributes: FlowAttributes = FlowAttributes()
    """Where a span names its flow."""
