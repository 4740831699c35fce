"""Why something was not emitted. Each member's value is the label of its metric; nothing is lost without one.

Pure. Transits, hops and spans are counted apart, since one transit makes several hops, and claims, since they bring
transits.
"""

import enum


class TransitReason(enum.StrEnum):
    """Why a transit was released without its hops being emitted."""

    NO_PARENT = "no_parent"
    """Its parent did not come within `window`: not sampled, lost, sent elsewhere, or a forged context."""
    TRANSITS_FULL = "transits_full"
    """More transits wait than may; the source that has most loses its oldest."""
    PARENT_CAP = "parent_cap"
    """As many transits wait for its parent as one span may have network spans."""
    ATTEMPT_CAP = "attempt_cap"
    """As many sendings of its message are known as TCP makes; more are forged."""
    DUPLICATE = "duplicate"
    """The node had reported this packet already: a probe sent its batch again."""
    CONFLICT = "conflict"
    """Another node had reported this half of the message already."""
    PEER = "peer"
    """Its parent says that it called another address: not its message, or a forged context."""
    PASSING = "passing"
    """The packet only passed through the node, from one NIC to another; such hops have no place yet."""
    CLOCK = "clock"
    """The node's clock could not be related to that of the parent's node."""
    VERSION = "version"
    """The record has a version that this plugin does not know: the probe is newer."""
    MALFORMED = "malformed"
    """The record, or the resource of its batch, could not be read."""
    SHUTDOWN = "shutdown"
    """It was still without its parent when the plugin ended."""


class HopReason(enum.StrEnum):
    """Why a hop of a joined message did not become a span."""

    CLOCK = "clock"
    """It lies on, or leads to, a node whose clock could not be related to that of the parent's node."""
    TRACE_CAP = "trace_cap"
    """The trace has `spans.max_per_trace` network spans already."""
    PARENT_CAP = "parent_cap"
    """The parent has as many network spans as one span may."""
    NOT_SLOW = "not_slow"
    """With `spans.detail: slow`: the network part of its exchange did not exceed `spans.slow_threshold`."""
    ID_TAKEN = "id_taken"
    """An application span of the trace has the id that its span would have."""
    MIN_DURATION = "min_duration"
    """It was shorter than `spans.min_duration`."""


class ForgetReason(enum.StrEnum):
    """Why something remembered was given up before its time. It costs hops only if a transit still needed it."""

    PARENT_EVICTED = "parent_evicted"
    """The store of parents was full; the oldest go first."""
    EXCHANGE_EVICTED = "exchange_evicted"
    """With `spans.detail: slow`: more exchanges were under way than may be; this one was judged by a part of it."""
    SERIES_EVICTED = "series_evicted"
    """A combination of labels of the hops' histogram was idle for an hour, and gave its place to a new one."""
    MESSAGE_EVICTED = "message_evicted"
    """More emitted messages were remembered than may be; a late counterpart of this one adds no wire hop."""
    PAIR_EVICTED = "pair_evicted"
    """Messages passed between more pairs of nodes than are remembered; the pair's clocks have to be measured anew."""


class ClockReason(enum.StrEnum):
    """Why what was known of a pair's clocks turned out impossible. It was forgotten, and measured anew."""

    CLONED_ID = "cloned_id"
    """Nodes with the same clock id have two clocks: cloned machines, or a snapshot that was started twice."""
    STEPPED = "stepped"
    """A clock moved by itself, as when a machine was paused, or is set at more than 100 ppm."""


class ClaimReason(enum.StrEnum):
    """Why the flow of a CLIENT span, or a packet on the far side, was not claimed from an agent."""

    UNNAMED = "unnamed"
    """The span does not name its flow in any of `flows.attributes`."""
    UNREADABLE = "unreadable"
    """What it names is no address and port, or its times are none."""
    LOOPBACK = "loopback"
    """The flow stays inside its pod: a sidecar and its own application."""
    NO_AGENT = "no_agent"
    """No agent was connected within the 10 s that a claim is of use."""
    UNANSWERED = "unanswered"
    """No agent answers for the client's address; it is asked for once a second."""
    FLOOD = "flood"
    """More claims a second would have to go to all agents than may."""
    QUEUE_FULL = "queue_full"
    """The agent takes claims too slowly; the oldest of its queue go first."""
    EXPIRED = "expired"
    """The agent did not take it within 10 s, or went away."""
