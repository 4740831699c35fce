"""Computes what hopspan takes for a load: the formulas of docs/sizing.md. Pure.

The costs are planned ones, above the measured: a test compares both.
"""

import math
from dataclasses import dataclass

from collector_plugin import message_table, parents, waiting

AGENT_US = 7.0
"""CPU of the agent for a transit, microseconds; all below likewise."""

POINTS_US, SAMPLED_POINTS_US = 1.5, 3.0
"""CPU of a node's points for an exchange, not sampled and sampled."""

SPAN_US = 8.0
"""CPU of the plugin for an application span over OTLP/gRPC, in and out."""

TRANSIT_US = 35.0
"""CPU of the plugin for a transit with its 3.5 network spans, written."""

FULL = 0.7
"""Part of its one core that a plugin is planned for: the rest is for bursts."""

WAITING_BYTES, PARENT_BYTES, MESSAGE_BYTES = 370, 60, 1000
TRANSITS_AN_EXCHANGE = 4
MESSAGES_AN_EXCHANGE = 2
PLUGIN_MIB = 170
"""Of memory without what the join keeps: the process, and requests under way."""

WAIT_S, WINDOW_S, PARENTS_S = 5, 60, 70
"""How long a transit waits for its span, and how long messages and parents are remembered."""

NETWORK_SPANS_AN_EXCHANGE = 14
MIB = 1 << 20
WIRE_BYTES = 320
"""Of a transit, from probe to plugin."""


@dataclass(frozen=True)
class Load:
    """A cluster: exchanges between nodes a second of one node, counted where they begin; all nodes are alike."""

    nodes: int
    exchanges_per_s: float
    sampled: float
    """Share, from 0 to 1."""
    spans_an_exchange: float = 3.0
    """Application spans in a trace, for each exchange: CLIENT, SERVER and one more."""

    @property
    def sampled_per_s(self) -> float:
        """Return the sampled exchanges a second of the cluster."""
        return self.nodes * self.exchanges_per_s * self.sampled

    @property
    def node_transits_per_s(self) -> float:
        """Return the transits a second of a node: two of each exchange that begins there, and of each that ends."""
        return self.exchanges_per_s * self.sampled * TRANSITS_AN_EXCHANGE

    @property
    def agent_cores(self) -> float:
        """Return the CPU of a node's agent."""
        return self.node_transits_per_s * AGENT_US / 1e6

    @property
    def point_cores(self) -> float:
        """Return the CPU of a node's points."""
        cost_us = POINTS_US + (SAMPLED_POINTS_US - POINTS_US) * self.sampled
        return 2 * self.exchanges_per_s * cost_us / 1e6

    @property
    def wire_kib_per_s(self) -> float:
        """Return what a probe sends."""
        return self.node_transits_per_s * WIRE_BYTES / 1024

    @property
    def plugin_cores(self) -> float:
        """Return the CPU of all plugins together."""
        spans_us = self.spans_an_exchange * SPAN_US
        return self.sampled_per_s * (spans_us + TRANSITS_AN_EXCHANGE * TRANSIT_US) / 1e6

    @property
    def plugins(self) -> int:
        """Return how many plugins carry it, each with one core."""
        return max(1, math.ceil(self.plugin_cores / FULL))

    @property
    def plugin_mib(self) -> float:
        """Return the memory of each plugin."""
        exchanges_per_s = self.sampled_per_s / self.plugins
        parents_mib = exchanges_per_s * self.spans_an_exchange * PARENTS_S * PARENT_BYTES / MIB
        waiting_mib = exchanges_per_s * TRANSITS_AN_EXCHANGE * WAIT_S * WAITING_BYTES / MIB
        messages = min(message_table.MAX_REMEMBERED, exchanges_per_s * MESSAGES_AN_EXCHANGE * WINDOW_S)
        shown_mib = messages * MESSAGE_BYTES / MIB
        return (
            PLUGIN_MIB
            + min(parents.MAX_BYTES / MIB, parents_mib)
            + min(waiting.MAX_TRANSIT_BYTES / MIB, waiting_mib)
            + shown_mib
        )

    @property
    def network_spans_per_s(self) -> float:
        """Return what the backend gets besides, with `spans.detail: hops`."""
        return self.sampled_per_s * NETWORK_SPANS_AN_EXCHANGE
